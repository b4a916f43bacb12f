"""Who wants to hear what: functions of the application, in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final, TypeAlias

from fairlead.client.told import Frame

Handler: TypeAlias = Callable[[Any], object]
"""A function or a coroutine function."""

Key: TypeAlias = tuple[str, str]
"""A channel, or nothing for any; a type, or `ANY`."""

Off: TypeAlias = Callable[[], None]
"""Ends what it was returned by; called twice, it does nothing."""

ANY: Final = "*"

STATE: Final[Key] = ("", ":state")
RECOVERED: Final[Key] = ("", ":recovered")
ERROR: Final[Key] = ("", ":error")
FRAME: Final[Key] = ("", ":frame")


class Handlers:
    """A table of them."""

    def __init__(self) -> None:
        self._count = count()
        self._of: dict[Key, dict[int, Handler]] = {}

    def add(self, key: Key, handler: Handler) -> Off:
        """Have *handler* called for *key* from now on."""
        number = next(self._count)
        self._of.setdefault(key, {})[number] = handler

        def off() -> None:
            self._of.get(key, {}).pop(number, None)
            if not self._of.get(key):
                self._of.pop(key, None)

        return off

    def of(self, keys: Iterable[Key]) -> list[Handler]:
        """Those of any of *keys*, the first to come first."""
        found = [item for key in keys for item in self._of.get(key, {}).items()]
        return [handler for _, handler in sorted(found, key=lambda item: item[0])]


def keys_of(frame: Frame) -> list[Key]:
    """Whom a message concerns: who hears its type, its channel, or the session that it names."""
    type, channel, session = str(frame.get("type")), frame.get("channel"), frame.get("session_id")
    places = {"": None, channel: None, f"session:{session}" if session else "": None}
    return [(place, kind) for place in places if isinstance(place, str) for kind in (type, ANY)]
