"""
What travels through Redis: a small header and the client's JSON frame, finished by whoever publishes.

Three shapes may arrive on a pub/sub channel, told apart by their first byte::

    0x93  [offset, epoch, envelope]   from a durable channel; the publish script put the position in front
    0x97  [version, id, type, exclude, flags, trace, frame]     the envelope alone, at most once
    0x7b  {"type": …}                 plain JSON from any language, at most once

All arrays are msgpack; *frame* is a msgpack ``bin`` of UTF-8 JSON that begins with ``{`` and is not empty.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from msgpack import packb, unpackb

from fairlead.errors import InvalidMessage

VERSION: Final = 1

CONTROL: Final = 1
"""Flag: an order to the replica (see `fairlead.format.control`), not a message for clients."""

EPHEMERAL: Final = 2
"""Flag: at most once and not kept, also in a channel that keeps what is said."""

_POSITIONED: Final = 0x93
_BRACE, _QUOTE, _BRACE_END = b'{"}'


class Envelope(NamedTuple):
    """One message between publisher and replicas."""

    id: str
    type: str
    frame: bytes
    exclude: str = ""
    """Who must not get it: ``connection:<id>``, ``user:<id>`` or nobody."""
    flags: int = 0
    trace: str = ""
    """W3C ``traceparent``, or empty."""

    def seal(self) -> bytes:
        """The bytes to publish."""
        return cast(bytes, packb([VERSION, self.id, self.type, self.exclude, self.flags, self.trace, self.frame]))

    def head(self) -> bytes:
        """The bytes before the frame, for a script that finishes the frame itself."""
        return cast(bytes, packb([VERSION, self.id, self.type, self.exclude, self.flags, self.trace, None]))[:-1]


class Delivery(NamedTuple):
    """An envelope as it arrives: *offset* is 0 and *epoch* empty on ephemeral channels."""

    offset: int
    epoch: str
    envelope: Envelope


Opened = tuple[int, str, str, str, str, int, str, bytes]
"""Offset, epoch, id, type, exclude, flags, trace, frame."""


def unseal(data: bytes) -> Delivery:
    """
    The delivery in *data*.

    :raises InvalidMessage: whatever is wrong with it; bytes from Redis are not trusted.
    """
    offset, epoch, id_, type_, exclude, flags, trace, frame = opened(data)
    return Delivery(offset, epoch, Envelope(id_, type_, frame, exclude, flags, trace))


def opened(data: bytes) -> Opened:
    """As `unseal`, in one plain tuple: replicas do this for every message, and names cost twice what msgpack does."""
    try:
        whole = unpackb(data)
        offset, epoch, header = whole if data[0] == _POSITIONED else (0, "", whole)
        version, id_, type_, exclude, flags, trace, frame = header if len(header) == 7 else header[:7]
        if not (
            version >= 1
            and offset >= 0
            and type(id_) is type(type_) is type(exclude) is type(epoch) is str
            and type(frame) is bytes
            and type(flags) is int
            and frame[0] == _BRACE
            and frame[1] == _QUOTE
            and frame[-1] == _BRACE_END
        ):
            raise InvalidMessage("not an envelope of this protocol")
        if not frame.isascii():
            str(frame, "utf-8")
        return int(offset), epoch, id_, type_, exclude, flags, trace, frame
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise InvalidMessage(f"not an envelope: {type(error).__name__}") from error


def for_clients(data: bytes) -> Opened:
    """As `opened`; what is an order to replicas is invalid, too."""
    whole = opened(data)
    if whole[5] & CONTROL:
        raise InvalidMessage("an order, which is for those who were here then")
    return whole


def with_offset(frame: bytes, offset: int) -> bytes:
    """*frame* with its offset put in by splicing bytes: the replica never parses a payload."""
    return b'{"offset":%d,%b' % (offset, frame[1:])
