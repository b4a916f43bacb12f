"""Where somebody stands in a durable channel, and what was said since."""

from __future__ import annotations

from typing import Any, NamedTuple


class Position(NamedTuple):
    """The last message seen: its offset, the epoch that the offset belongs to, and its id as far as it is known."""

    offset: int
    epoch: str
    """``<epoch>.<term>``: a run of offsets, and the Redis master that gave the latest of them."""
    id: str = ""
    """Proves the position after a failover: the log must still hold this very message at this offset."""


class Entry(NamedTuple):
    """One message of a channel's log."""

    offset: int
    id: str
    envelope: bytes
    """As `fairlead.format.envelope` seals it."""


class Span(NamedTuple):
    """What a channel's log says to somebody who stands at a position."""

    top: Position
    """Where the channel stands now."""
    is_proven: bool
    """Whether the channel goes on from the position that was asked about, so that nothing else was missed."""
    entries: list[Entry]
    """What came next, in order and without a hole; the first part of it when it is long."""

    @property
    def is_whole(self) -> bool:
        """Whether *entries* reach the top."""
        return self.entries[-1].offset == self.top.offset if self.entries else True


def span(reply: list[Any]) -> Span:
    """The reply of the script ``read``; an id that is no text, forged past every publisher, proves nothing later."""
    offset, epoch, last_id, is_proven, found = reply
    return Span(Position(offset, epoch.decode(), _text(last_id)), bool(is_proven), entries_of(found))


def entries_of(found: list[Any]) -> list[Entry]:
    """Entries of a log, as Redis gives them."""
    return [Entry(int(id_.partition(b"-")[0]), _text(fields[1]), fields[3]) for id_, fields in found]


def _text(id: bytes) -> str:
    return id.decode(errors="replace")
