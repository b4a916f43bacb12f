"""One tap: which of what passes by somebody wants to see, and how much of it at most. Decides, and does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from fairlead_gateway.access.identity import matches
from fairlead_gateway.sessions.frames import Wanted

Item: TypeAlias = dict[str, Any]
"""One thing that somebody is shown, see `fairlead_gateway.sessions.live.items`."""

REMEMBERED: Final = 1024
"""Names of which it is remembered whether they match, so that a pattern is not read for each message."""

REMEMBERED_LENGTH: Final = 256
"""Characters of a name that is remembered."""

BURST_SECONDS: Final = 1.0
"""After a quiet moment this many seconds' worth may pass at once."""

_ROUNDING: Final = 1e-9


class Gate:
    """Lets *per_second* things pass on average, which is at least one."""

    __slots__ = ("_ahead", "_earned_at", "_gap")

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._ahead = BURST_SECONDS - self._gap + _ROUNDING
        self._earned_at = 0.0

    def admits(self, now: float) -> bool:
        """Whether one more may pass at *now* (monotonic seconds), which is then taken to have passed."""
        if self._earned_at > now + self._ahead:
            return False
        self._earned_at = max(self._earned_at, now) + self._gap
        return True


class Choice:
    """Names that match one of some patterns; of no patterns, all names."""

    __slots__ = ("_known", "_patterns")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = () if "*" in patterns else tuple(patterns)
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        if not self._patterns:
            return True
        known = self._known.get(name)
        if known is None:
            known = any(matches(pattern, name) for pattern in self._patterns)
            if len(name) <= REMEMBERED_LENGTH:
                if len(self._known) == REMEMBERED:
                    self._known.clear()
                self._known[name] = known
        return known


class Tap:
    """
    What one watcher, at whatever replica, is to be shown of this one, and has yet to be.

    What is more than wanted is counted; what cannot be brought to the watcher either, so that nothing piles up.
    """

    def __init__(self, id: str, wanted: Wanted, *, content: bool, to: str, until: float) -> None:
        """
        :param content: whether to show what messages say.
        :param to: the channel on which it is awaited.
        :param until: when it ends (monotonic seconds), unless it is renewed.
        """
        self.id = id
        self.wanted = wanted
        self.content = content
        self.to = to
        self.until = until
        self.is_telling = False
        """Whether what was seen before is still on its way."""
        self._all_messages = wanted.messages and not wanted.types and not wanted.channels
        self._some_messages = wanted.messages
        self._types = Choice(wanted.types)
        self._channels = Choice(wanted.channels)
        self._events = Choice(wanted.events)
        self._gate = Gate(wanted.max_per_second)
        self._room = 2 * wanted.max_per_second
        self._items: list[Item] = []
        self._dropped = 0

    def wants_message(self, channel: str, type: str) -> bool:
        return self._all_messages or (self._some_messages and type in self._types and channel in self._channels)

    def wants_event(self, event: str) -> bool:
        return bool(self.wanted.events) and event in self._events

    def admits(self, now: float) -> bool:
        """Whether one more thing that is wanted may be shown; otherwise it is counted."""
        if self._gate.admits(now) and len(self._items) < self._room:
            return True
        self._dropped += 1
        return False

    def add(self, item: Item) -> None:
        """Have *item*, which was admitted, shown."""
        self._items.append(item)

    def drop(self, count: int) -> None:
        """So many more were not shown."""
        self._dropped += count

    def take(self) -> tuple[list[Item], int]:
        """What is to be shown now, and how much was dropped."""
        taken = self._items, self._dropped
        self._items, self._dropped = [], 0
        return taken
