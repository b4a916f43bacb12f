"""What a durable channel has said so far, as far as it is kept: one page at a time, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import from_json
from fairlead.format.envelope import for_clients, with_offset
from fairlead.format.position import Entry, entries_of
from fairlead.names import Names, checked_channel
from fairlead.redis.scripts import load

if TYPE_CHECKING:
    from fairlead.redis.calls import Call

PAGE: Final = 50
"""Messages on a page, unless somebody says how many."""

MAX_PAGE: Final = 100
"""Messages on a page at most, so that none holds up Redis, or everything behind it."""

MAX_PAGE_BYTES: Final = 256 * 1024
"""What they may come to, envelopes included; a page has one message all the same, however large that is."""

_PAST: Final = load("past")


class Past(NamedTuple):
    """A page of what a channel has said."""

    messages: list[dict[str, Any]]
    """The oldest first, each as clients got it, with its ``offset``."""
    offset: int
    """Where the channel stands: of the last message that was said in it; 0 where nothing was."""
    epoch: str
    """Of all these offsets; empty where nothing was said."""
    more: bool
    """Whether older ones are kept."""
    before: int
    """What to ask with for these; where no message may be told, a page is empty and leads on all the same."""


class Page(NamedTuple):
    """The same, as the log has it."""

    entries: list[Entry]
    """The oldest first."""
    offset: int
    epoch: str
    more: bool
    before: int

    @property
    def size(self) -> int:
        """Bytes of all envelopes."""
        return sum(len(entry.envelope) for entry in self.entries)


def read(names: Names, channel: str, limit: int, before: int | None) -> Call:
    """
    What reads a page of the messages before an offset, or of the newest; see `page`.

    :raises InvalidMessage: *channel*, *limit* or *before* is none.
    """
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidMessage(f"limit is a number of messages from 1 to {MAX_PAGE}")
    if before is not None and (type(before) is not int or not 1 <= before < 2**53):
        raise InvalidMessage("before is an offset, 1 or more: only messages with a smaller one are told")
    log, meta, _, term = names.of_durable(checked_channel(channel))
    return _PAST, (log, meta, term), ("" if before is None else before, limit, MAX_PAGE_BYTES)


def page(reply: list[Any], before: int | None) -> Page:
    """The reply to `read`."""
    offset, epoch, more, found = reply
    entries = entries_of(found)[::-1]
    first = entries[0].offset if entries else before or offset + 1
    return Page(entries, offset, epoch.decode(errors="replace"), bool(more), first)


def past(page: Page, reader: str = "", parse: Callable[[bytes], object] = from_json) -> Past:
    """
    *page* as it is told; without orders to replicas, and what clients could not read.

    :param reader: ``user:<id>`` of whoever reads it, who does not get what is not for them. What a connection was not
        sent because it had said it itself is part of the talk.
    :param parse: what reads JSON, and raises `InvalidJson`; a replica has a faster one.
    """
    messages = [message for entry in page.entries if (message := _message(entry, reader, parse)) is not None]
    return Past(messages, *page[1:])


def ensure_kept(channel: str, is_durable: bool) -> None:
    """:raises InvalidMessage: nothing that is said in *channel* is kept."""
    if not is_durable:
        raise InvalidMessage(f"{channel} keeps no history: what is said in it is for those who hear it then")


def _message(entry: Entry, reader: str, parse: Callable[[bytes], object]) -> dict[str, Any] | None:
    try:
        _, _, _, _, exclude, _, _, frame = for_clients(entry.envelope)
        message = parse(with_offset(frame, entry.offset))
    except (InvalidMessage, InvalidJson):
        return None
    return message if isinstance(message, dict) and (not exclude or exclude != reader) else None
