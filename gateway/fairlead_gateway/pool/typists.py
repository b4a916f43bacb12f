"""Typists: who is typing where on this replica, as far as others need to be told (ST-5)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from fairlead_gateway.pool.wheel import Wheel

Member = TypeVar("Member", bound=Hashable)

SILENT_SECONDS: Final = 6
"""Who has not said again by then that it is typing has stopped."""

RENEW_SECONDS: Final = 3
"""Others are told again no sooner that somebody goes on typing."""

News = Literal["changed", "renewed", ""]
"""What a notice of typing is to the others: something new, a sign that it goes on, or nothing that they need."""


class _Typist(NamedTuple):
    told_at: float
    until: int


class Typists(Generic[Member]):
    """Members by the channels in which they type, for any number of them at the cost of one timer."""

    def __init__(self) -> None:
        self._typing: dict[Member, dict[str, _Typist]] = {}
        self._silences: Wheel[tuple[Member, str]] = Wheel()

    def note(self, member: Member, channel: str, is_typing: bool, now: float) -> News:
        """*member* says at *now* (loop seconds) whether it is typing; what the others are to be told of that."""
        if not is_typing:
            return "changed" if self._stop(member, channel) else ""
        held = self._typing.get(member, {}).get(channel)
        is_told = held is not None and now - held.told_at < RENEW_SECONDS
        if held is not None:
            self._silences.drop((member, channel), held.until)
        until = self._silences.put((member, channel), math.ceil(now + SILENT_SECONDS))
        told_at = held.told_at if held is not None and is_told else now
        self._typing.setdefault(member, {})[channel] = _Typist(told_at, until)
        if held is None:
            return "changed"
        return "" if is_told else "renewed"

    def stop(self, member: Member, channels: Iterable[str] | None = None) -> list[str]:
        """*member* leaves *channels*, or everything; where it was typing."""
        if member not in self._typing:
            return []
        where = tuple(self._typing[member]) if channels is None else channels
        return [name for name in where if self._stop(member, name)]

    def turn(self, now: int) -> list[tuple[Member, str]]:
        """Who has fallen silent up to the second *now*, and where."""
        silent = self._silences.turn(now)
        for member, channel in silent:
            self._forget(member, channel)
        return silent

    def _stop(self, member: Member, channel: str) -> bool:
        held = self._forget(member, channel)
        if held is not None:
            self._silences.drop((member, channel), held.until)
        return held is not None

    def _forget(self, member: Member, channel: str) -> _Typist | None:
        channels = self._typing.get(member, {})
        held = channels.pop(channel, None)
        if held is not None and not channels:
            del self._typing[member]
        return held
