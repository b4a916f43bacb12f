"""Where a client stands in each durable channel, and what it makes of a message by that (P1 to P5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from fairlead.client.told import Frame, Recovery
from fairlead.errors import InvalidMessage
from fairlead.format.position import Position
from fairlead.names import checked_channel

Given: TypeAlias = Position | Mapping[str, Any] | Sequence[Any]
"""A position, or what JSON makes of one: ``[7, "e.1", "m-7"]``, or an object with these names."""

Verdict: TypeAlias = Literal["new", "seen", "hole", "lost"]
"""``lost``: new, behind a hole that nobody fills."""

MAX_CHANNELS: Final = 1_000
"""Channels that are kept track of; beyond, those that nobody asked for are forgotten, the oldest first."""

NOWHERE: Final = Position(0, "")
"""How a channel is named that was asked for and has said nothing yet (O3)."""

_ANYWHERE: Final = -1
"""The offset where the gateway knows where we stand, and we do not: after the cursor of a device."""


class Positions:
    """Decides; asks nobody."""

    def __init__(self, given: Mapping[str, Given] | None = None) -> None:
        self._last = {checked_channel(channel): _position(one) for channel, one in (given or {}).items()}
        self.wanted: dict[str, None] = {}
        """Channels that were asked for, and have not been left (C1)."""
        self.mending: set[str] = set()
        """Channels with a hole that is being asked for."""
        self._missing: dict[str, int] = {}
        """Behind which offset something was missing last, by channel."""

    # -- what is known -----------------------------------------------------------------------------

    def get(self, channel: str) -> Position | None:
        """The last message of *channel*, if there was any."""
        last = self._last.get(channel)
        return None if last is None or last.offset == _ANYWHERE else last

    def known(self) -> dict[str, Position]:
        """All of them, as somebody else could go on from there."""
        return {channel: last for channel, last in self._last.items() if last.offset != _ANYWHERE and last.epoch}

    def recover(self, channels: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """What to say as ``recover``, of everything or of *channels*, as far as there is something to say."""
        known = self.known()
        names = dict.fromkeys((*known, *self.wanted)) if channels is None else channels
        told = {name: known.get(name, NOWHERE) for name in names if name in known or channels is None}
        return {name: _claim(position) for name, position in told.items()}

    def restore(self, positions: Mapping[str, Position | None]) -> None:
        """Go back to these: what came since was shown to nobody."""
        for channel, position in positions.items():
            if position is None:
                self._last.pop(channel, None)
            else:
                self._last[channel] = position

    # -- what is heard -----------------------------------------------------------------------------

    def take(self, channel: str, offset: int, id: str) -> Verdict:
        """What the message at *offset* is; where it is new, it is the last one from now on."""
        last = self._last.get(channel)
        verdict: Verdict = "new"
        if last is not None and last.offset != _ANYWHERE:
            if offset <= last.offset:
                return "seen"
            if offset > last.offset + 1:
                verdict = self._missed(channel, last.offset)
                if verdict == "hole":
                    return verdict
        self._last[channel] = Position(offset, last.epoch if last else "", id)
        if last is None:
            self._bound()
        return verdict

    def _missed(self, channel: str, behind: int) -> Verdict:
        """Whether what is missing *behind* an offset is to be asked for, or did not come when it was."""
        if channel in self.mending:
            return "hole"
        before, self._missing[channel] = self._missing.get(channel), behind
        return "lost" if before == behind else "hole"

    def forget(self, channels: Iterable[str]) -> None:
        """Nobody wants to hear these any more."""
        for channel in channels:
            self._last.pop(channel, None)
            self.wanted.pop(channel, None)
            self.mending.discard(channel)
            self._missing.pop(channel, None)

    def broke(self) -> None:
        """The connection ended: what it was asked for will not come, and what has no epoch is not gone on with."""
        self.mending.clear()
        self._last = {channel: last for channel, last in self._last.items() if last.epoch}

    def changed(self, frame: Frame) -> Recovery:
        """``epoch_changed``: where nothing was lost the epoch alone, else epoch and offset (P4)."""
        channel, epoch, offset = str(frame["channel"]), str(frame["epoch"]), int(frame["offset"])
        recovered = bool(frame.get("recovered"))
        last = self._last.get(channel)
        if recovered and last is not None:
            self._last[channel] = last._replace(epoch=epoch)
        else:
            self._last[channel] = Position(offset, epoch)
        self.mending.discard(channel)
        return Recovery(channel, recovered)

    def told(self, channels: Mapping[str, Mapping[str, Any]]) -> list[Recovery]:
        """What a greeting or a reply says about *channels*; of which of them the application is to be told."""
        told = [self._told(channel, facts) for channel, facts in channels.items()]
        return [recovery for recovery in told if recovery is not None]

    def _told(self, channel: str, facts: Mapping[str, Any]) -> Recovery | None:
        self.mending.discard(channel)
        if code := facts.get("code"):
            self.forget([channel])
            return Recovery(channel, recovered=False, code=str(code))
        epoch, offset = str(facts.get("epoch", "")), int(facts.get("offset", 0))
        recovered, last = facts.get("recovered"), self._last.get(channel)
        if recovered:
            at, missed = (last.offset, offset - last.offset) if last is not None else (_ANYWHERE, 0)
            self._last[channel] = Position(at, epoch, last.id if last is not None else "")
            return Recovery(channel, recovered=True, missed=missed if at != _ANYWHERE else 0)
        if recovered is None and last is not None and last.epoch:
            # Heard already: what lies between is on its way.
            return None
        if epoch:
            self._last[channel] = Position(offset, epoch)
        else:
            self._last.pop(channel, None)
        return None if recovered is None else Recovery(channel, recovered=False)

    def _bound(self) -> None:
        if len(self._last) > MAX_CHANNELS:
            unasked = next(
                (name for name, last in self._last.items() if name not in self.wanted and not last.epoch), ""
            )
            self._last.pop(unasked, None)


def _position(given: Given) -> Position:
    """:raises InvalidMessage: it is none, nor what JSON made of one."""
    try:
        found = Position(**given) if isinstance(given, Mapping) else Position(*given)
    except TypeError:
        found = Position(-1, "")
    if type(found.offset) is int and found.offset >= 0 and isinstance(found.epoch, str) and isinstance(found.id, str):
        return found
    raise InvalidMessage("a position has an offset, an epoch, and perhaps an id")


def _claim(position: Position) -> dict[str, Any]:
    facts: dict[str, Any] = {"offset": position.offset, "epoch": position.epoch}
    return facts | {"id": position.id} if position.id else facts
