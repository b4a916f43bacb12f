"""A track: where one durable channel stands on this replica, and the rule that nothing is passed on behind a gap."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from fairlead.format.position import Position
from fairlead_gateway.dispatch.outgoing import Outgoing

MAX_PENDING: Final = 1024
"""Messages of one channel that may wait for its repair; more are read from the log once more."""

OVERHEAD_BYTES: Final = 250
"""What Python adds to the bytes of a remembered message."""


class Verdict(Enum):
    """What to do with a message."""

    NEXT = auto()
    """Exactly what comes next: pass it on."""
    SEEN = auto()
    """It was passed on before."""
    KEPT = auto()
    """It waits until it is known what came before it."""


NEXT: Final = Verdict.NEXT
"""Looked up once, since an enumeration's attribute costs as much as a call, and this is asked of every message."""


class Track:
    """
    The position of one channel: everything up to it has been given to the members here, nothing behind it has.

    A track is *sure*, or it waits for the log to say how the channel goes on; what Redis publishes meanwhile is kept.
    """

    __slots__ = (
        "asked_pending",
        "channel",
        "epoch",
        "is_asking",
        "is_stale",
        "is_sure",
        "last_id",
        "offset",
        "pending",
        "recent",
        "visited_at",
    )

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.offset = 0
        self.epoch = ""
        """Empty until the first answer of the log."""
        self.last_id = ""
        self.is_sure = False
        self.is_asking = False
        """Whether the log has been asked and has yet to answer."""
        self.is_stale = False
        """Whether that answer may be older than what has been missed, so that it must be asked once more."""
        self.pending: list[Outgoing] = []
        self.asked_pending = 0
        """How many of the pending were there when the log was asked: its answer covers them."""
        self.recent: list[Outgoing] = []
        """The last messages, without a hole, up to the position; see `Memory`."""
        self.visited_at = -1
        """The offset at which the periodic check found it."""

    @property
    def position(self) -> Position | None:
        """Where it stands; None before the log has ever been asked."""
        return Position(self.offset, self.epoch, self.last_id) if self.epoch else None

    def take(self, message: Outgoing) -> Verdict:
        """What to do with *message*, which Redis has just published; the position moves on if it comes next."""
        if self.is_sure and message.epoch == self.epoch:
            if message.offset == self.offset + 1:
                self.offset += 1
                self.last_id = message.id
                return NEXT
            if message.offset <= self.offset and self._is_remembered_as(message):
                return Verdict.SEEN
        return Verdict.KEPT

    def keep(self, message: Outgoing) -> None:
        """Let *message* wait for the log."""
        if len(self.pending) >= MAX_PENDING:
            # What is dropped here leaves a gap behind the repair, and so is asked for by the next one.
            self.pending.clear()
            self.asked_pending = 0
        self.pending.append(message)

    def take_pending(self) -> list[Outgoing]:
        """
        Those of the pending messages that come next. The track is sure afterwards, unless some fit nowhere.

        What was pending when the log was asked is in its answer, or is lost with the master that had it.
        """
        pending, self.pending, covered = self.pending, [], self.asked_pending
        self.is_sure = True
        passed: list[Outgoing] = []
        for index, message in enumerate(pending):
            verdict = self.take(message)
            if verdict is NEXT:
                passed.append(message)
            elif verdict is Verdict.KEPT and index >= covered:
                self.pending = pending[index:]
                self.is_sure = False
                break
        return passed

    def jump(self, position: Position) -> None:
        """The channel stands at *position*, and what lies between is not known."""
        self.offset, self.epoch, self.last_id = position
        self.recent = []

    def since(self, position: Position) -> list[Outgoing] | None:
        """What was passed on behind *position*; None if that is not remembered, or not the same run of offsets."""
        behind = self.offset - position.offset
        if position.epoch != self.epoch or not 0 <= behind <= len(self.recent):
            return None
        return self.recent[-behind:] if behind else []

    def _is_remembered_as(self, message: Outgoing) -> bool:
        """False if another message is remembered at this offset: then there are two histories."""
        back = self.offset - message.offset + 1
        return back > len(self.recent) or self.recent[-back].id == message.id


class Memory:
    """
    What all *tracks* together remember, so that most clients who come back never make Redis work.

    :param limit_bytes: in all; beyond it every track forgets its older half, so that each message costs no more than
        being counted.
    :param limit_messages: of one channel; up to twice as many until it is tidied.
    """

    def __init__(self, tracks: Mapping[str, Track], limit_bytes: int, limit_messages: int) -> None:
        self._tracks = tracks
        self._limit_bytes = limit_bytes
        self._limit_messages = limit_messages
        self._bytes = 0

    def remember(self, track: Track, message: Outgoing) -> None:
        """*message* is the latest of *track*."""
        recent = track.recent
        recent.append(message)
        self._bytes += len(message.frame) + OVERHEAD_BYTES
        if len(recent) > 2 * self._limit_messages:
            del recent[: -self._limit_messages]
        if self._bytes > self._limit_bytes:
            self._shed()

    def _shed(self) -> None:
        self._bytes = 0
        for track in self._tracks.values():
            if recent := track.recent:
                del recent[: (len(recent) + 1) // 2]
                self._bytes += sum([len(message.frame) for message in recent]) + len(recent) * OVERHEAD_BYTES
