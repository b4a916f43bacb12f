"""Answers worth keeping: a bounded number, each until its end."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """The most recently used *size* answers; the clock is the caller's."""

    __slots__ = ("_entries", "_size")

    def __init__(self, size: int) -> None:
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._size = size

    def get(self, key: K, now: float) -> V | None:
        """What was kept under *key*, unless it ended at *now*."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def keep(self, key: K, value: V, until: float) -> None:
        """Remember *value* up to *until*, in the place of the least used one."""
        self._entries[key] = (until, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def forget(self) -> None:
        """Keep nothing."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
