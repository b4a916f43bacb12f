"""Roads: what has an order goes one way; the way of a partition changes only when nothing of it is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from fairlead.redis.atlas import Atlas
from fairlead.redis.places import tag_of


class Road(Protocol):
    """Carries things in their order, each to wherever it lives when its turn comes."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""


S = TypeVar("S")
R = TypeVar("R", bound=Road)


class Roads(Generic[S, R]):
    """
    One road for each shard, so that a shard that does not answer holds up nobody else's.

    A partition that has moved to another shard changes roads when its old one is idle: until then what is said about
    it stays in order behind what was said before.
    """

    def __init__(self, shards: Atlas[S], build: Callable[[], R]) -> None:
        self._shards = shards
        self._build = build
        self._roads: dict[S | None, R] = {}
        self._taken: dict[str, tuple[S | None, R]] = {}
        self._only = self._road(shards.only) if shards.only is not None else None

    def __iter__(self) -> Iterator[R]:
        return iter(self._roads.values())

    def of_partition(self, partition: int) -> R:
        """The road for what is said about a partition."""
        return self._only or self.of_tag(str(partition))

    def of_key(self, key: str) -> R:
        """The road for what is said about *key*."""
        return self._only or self.of_tag(tag_of(key))

    def of_tag(self, tag: str) -> R:
        shard = self._shards.find(tag)
        taken = self._taken.get(tag)
        if taken is None or (taken[0] is not shard and taken[1].is_idle):
            taken = self._taken[tag] = shard, self._road(shard)
        return taken[1]

    def _road(self, shard: S | None) -> R:
        if shard not in self._roads:
            self._roads[shard] = self._build()
        return self._roads[shard]
