"""A timer wheel: what is due in which second, for any number of connections at the cost of one timer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Wheel(Generic[Item]):
    """Items by the whole second in which they are due; the clock is whichever the caller uses."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Item]] = {}
        self._turned_to: int | None = None

    def put(self, item: Item, second: int) -> int:
        """Let *item* be due in *second*, or at the next turn if that has passed; the second it became."""
        if self._turned_to is not None and second <= self._turned_to:
            second = self._turned_to + 1
        self._slots.setdefault(second, set()).add(item)
        return second

    def drop(self, item: Item, second: int) -> None:
        """Forget *item*, which `put` said is due in *second*."""
        slot = self._slots.get(second)
        if slot is not None:
            slot.discard(item)
            if not slot:
                del self._slots[second]

    def turn(self, now: int) -> list[Item]:
        """Take out everything due up to and including the second *now*."""
        late = self._late(now)
        self._turned_to = now
        return [item for second in late for item in self._slots.pop(second, ())]

    def _late(self, now: int) -> Iterable[int]:
        """The seconds since the last turn; only those with items when the clock has jumped."""
        if self._turned_to is not None and now - self._turned_to <= len(self._slots):
            return range(self._turned_to + 1, now + 1)
        return sorted(second for second in self._slots if second <= now)
