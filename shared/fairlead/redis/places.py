"""Where a key lives: every key and channel carries a hash tag, or is one, and the tag decides."""

from __future__ import annotations

from binascii import crc_hqx
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha1
from typing import Final, Generic, Protocol, TypeVar

from fairlead.names import PARTITIONS

SLOTS: Final = 16_384
"""Parts that Redis Cluster spreads its keys over."""

S = TypeVar("S")


def tag_of(key: str) -> str:
    """What stands between the first ``{`` and the next ``}``, as Redis Cluster reads it; the whole key without."""
    start = key.find("{") + 1
    end = key.find("}", start) if start else -1
    return key[start:end] if end > start else key


def slot_of(key: str) -> int:
    """Where Redis Cluster keeps *key*: as ``CLUSTER KEYSLOT`` counts it."""
    return crc_hqx(tag_of(key).encode(), 0) % SLOTS


class Places(Protocol[S]):
    """Which of several shards a key lives on."""

    partitions: list[S | None]
    """The shard of each partition; None where nobody is known to have it."""

    def find(self, key: str) -> S | None:
        """The shard of *key*; None when nobody is known to have it."""

    def __iter__(self) -> Iterator[S]:
        """Every shard that has something."""


class Ring(Generic[S]):
    """
    Independent servers: a tag lives on the one whose ``SHA-1 of "<name> <tag>"`` is greatest (rendezvous hashing).

    One server more takes its share from all the others alike; nothing else moves.
    """

    def __init__(self, shards: Mapping[str, S]) -> None:
        self._shards = dict(shards)
        self._of_tag = lru_cache(maxsize=4096)(self._choose)
        self.partitions: list[S | None] = [self._choose(str(partition)) for partition in range(PARTITIONS)]

    def find(self, key: str) -> S:
        return self._of_tag(tag_of(key))

    def __iter__(self) -> Iterator[S]:
        return iter(self._shards.values())

    def _choose(self, tag: str) -> S:
        return self._shards[max(self._shards, key=lambda name: _weight(name, tag))]


class SlotMap(Generic[S]):
    """A cluster: a tag lives on the master that has its slot, as far as we were told."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ranges: list[tuple[int, S]] = []
        self._slots = [slot_of(str(partition)) for partition in range(PARTITIONS)]
        self.partitions: list[S | None] = [None] * PARTITIONS

    def adopt(self, ranges: Iterable[tuple[int, int, S]]) -> None:
        """Take first slot, last slot and shard of each range for the truth, and nothing that was known before."""
        ordered = sorted(ranges, key=lambda one: one[0])
        self._starts = [first for first, _, _ in ordered]
        self._ranges = [(last, shard) for _, last, shard in ordered]
        self.partitions[:] = [self._find_slot(slot) for slot in self._slots]

    def find(self, key: str) -> S | None:
        return self._find_slot(slot_of(key))

    def __iter__(self) -> Iterator[S]:
        return iter(dict.fromkeys(shard for _, shard in self._ranges))

    def _find_slot(self, slot: int) -> S | None:
        at = bisect_right(self._starts, slot) - 1
        if at < 0:
            return None
        last, shard = self._ranges[at]
        return shard if slot <= last else None


def _weight(name: str, tag: str) -> bytes:
    return sha1(f"{name} {tag}".encode(), usedforsecurity=False).digest()
