"""The atlas: which shard a key, a command or a partition belongs to, whoever the shards are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from redis.exceptions import ClusterDownError

from fairlead.redis.outage import ELSEWHERE
from fairlead.redis.places import Places

S = TypeVar("S")
T = TypeVar("T")

SomeCommand: TypeAlias = Sequence[Any]

KEYLESS: Final = frozenset({"TIME", "PING", "ECHO", "INFO"})
"""Commands without a key; asked where the fleet's keys live, so that all ask the same server."""

ROUNDS: Final = 3
"""How often a question follows its keys to where they have moved."""

_KEY_AT: Final = {"EVALSHA": 3, "EVAL": 3, "XGROUP": 2, "XINFO": 2}
"""Where the first key stands, of commands in which it does not follow at once."""


class Atlas(Generic[S]):
    """
    Where everything is.

    :param fleet_key: a key of the fleet; commands without a key go where it lives.
    """

    is_sharded: bool = False
    """Whether messages are published in their shard only: ``SPUBLISH`` and ``SSUBSCRIBE``."""

    def __init__(self, places: Places[S], fleet_key: str) -> None:
        self._places = places
        self.fleet_key = fleet_key
        self.partitions = places.partitions
        """The shard of each partition; None where nobody is known to have it."""

    def __iter__(self) -> Iterator[S]:
        return iter(self._places)

    @property
    def only(self) -> S | None:
        """The shard that everything lives on, now and for ever, if there is but one."""
        shards = list(self)
        return shards[0] if len(shards) == 1 and not self.is_sharded else None

    def find(self, key: str) -> S | None:
        """The shard of *key*; None when nobody is known to have it."""
        return self._places.find(key)

    def of_command(self, command: SomeCommand) -> S | None:
        """The shard that *command* is for, by its first key."""
        return self.find(first_key(command) or self.fleet_key)


class Answers:
    """What has been answered of several questions, and what is to be asked once more where it has moved to."""

    def __init__(self, questions: int) -> None:
        self.values: list[Any] = [nowhere()] * questions

    @property
    def missing(self) -> list[int]:
        """The questions that nobody has answered who could."""
        return [at for at, answer in enumerate(self.values) if isinstance(answer, ELSEWHERE)]

    @property
    def error(self) -> Exception | None:
        """The first answer that is none."""
        return next((answer for answer in self.values if isinstance(answer, Exception)), None)

    def take(self, ats: Sequence[int], answers: Sequence[Any]) -> None:
        """*answers* to the questions at these places."""
        for at, answer in zip(ats, answers, strict=True):
            self.values[at] = answer


def nowhere() -> ClusterDownError:
    """What is said of a key that nobody is known to have."""
    return ClusterDownError("no master is known for this key")


def first_key(command: SomeCommand) -> str | None:
    """The first key of *command*, if it has one."""
    if len(command) < 2 or command[0] in KEYLESS:
        return None
    key = command[_KEY_AT.get(command[0], 1)]
    return key.decode() if isinstance(key, bytes) else str(key)


def grouped(things: Iterable[T], shard_of: Callable[[T], S | None]) -> list[tuple[S, list[T]]]:
    """*things* by their shard, each group in its order; those that live nowhere are left out."""
    groups: dict[S, list[T]] = {}
    for thing in things:
        shard = shard_of(thing)
        if shard is not None:
            groups.setdefault(shard, []).append(thing)
    return list(groups.items())
