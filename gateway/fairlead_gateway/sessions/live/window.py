"""What replicas have seen, brought together for one watcher: each message once, and no more than it wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias

from fairlead_gateway.sessions.live.tap import Gate, Item

REMEMBERED_SECONDS: Final = 10
"""For about so long it is remembered what was shown, should another replica come late with the same."""


Key: TypeAlias = tuple[str, str]
"""A message: its channel, and its id."""


class _Here(NamedTuple):
    """A message that came in since the last look."""

    item: Item
    replicas: set[str]


class Window:
    """
    What came in since it was last looked through.

    A message that several replicas see is one item: their receivers are added up, as far as they come in the same
    window; whoever comes later adds nothing.
    """

    def __init__(self, per_second: int) -> None:
        self._gate = Gate(per_second)
        self._room = REMEMBERED_SECONDS * per_second
        self._shown: dict[Key, None] = {}
        self._messages: dict[Key, _Here] = {}
        self._items: list[Item] = []
        self._dropped = 0

    def add(self, items: Iterable[Any], dropped: int, now: float) -> None:
        """A replica has seen *items*, and *dropped* more; from Redis, so not trusted. *now* is in monotonic seconds."""
        self._dropped += max(0, dropped)
        for item in items:
            match item:
                case {"kind": "message", "channel": str(channel), "id": str(id), "replica": str(replica)}:
                    self._add_message((channel, id), replica, item, now)
                case {"kind": "event", "event": str()}:
                    self._admit(item, now)

    def take(self) -> tuple[list[Item], int]:
        """What is to be shown now, by when it was seen, and how much else there was."""
        taken = sorted(self._items, key=lambda item: str(item.get("at"))), self._dropped
        self._items, self._dropped = [], 0
        self._messages.clear()
        return taken

    def _add_message(self, key: Key, replica: str, item: Item, now: float) -> None:
        here, receivers = self._messages.get(key), _count(item.get("receivers"))
        if here is not None:
            if replica not in here.replicas:
                here.replicas.add(replica)
                here.item["receivers"] += receivers
        elif key not in self._shown and self._admit(item, now):
            item["receivers"] = receivers
            self._messages[key] = _Here(item, {replica})
            self._shown[key] = None
            if len(self._shown) > self._room:
                del self._shown[next(iter(self._shown))]

    def _admit(self, item: Item, now: float) -> bool:
        if self._gate.admits(now):
            self._items.append(item)
            return True
        self._dropped += 1
        return False


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0
