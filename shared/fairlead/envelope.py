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

import msgpack

from fairlead.errors import InvalidMessage

VERSION: Final = 1

CONTROL: Final = 1
"""Flag: an order to the replica (see `fairlead.control`), not a message for clients."""

_POSITIONED: Final = 0x93


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
        return cast(
            bytes, msgpack.packb([VERSION, self.id, self.type, self.exclude, self.flags, self.trace, self.frame])
        )


class Delivery(NamedTuple):
    """An envelope as it arrives: *offset* is 0 and *epoch* empty on ephemeral channels."""

    offset: int
    epoch: str
    envelope: Envelope


def unseal(data: bytes) -> Delivery:
    """
    The delivery in *data*.

    :raises InvalidMessage: whatever is wrong with it; bytes from Redis are not trusted.
    """
    try:
        whole = msgpack.unpackb(data)
        offset, epoch, header = whole if data[0] == _POSITIONED else (0, "", whole)
        version, id_, type_, exclude, flags, trace, frame = header[:7]
        if version < 1 or frame[0] != 0x7B or not isinstance(frame, bytes):
            raise InvalidMessage("not an envelope of this protocol")
        str(frame, "utf-8")
        return Delivery(int(offset), epoch, Envelope(id_, type_, frame, exclude, flags, trace))
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise InvalidMessage(f"not an envelope: {type(error).__name__}") from error


def with_offset(frame: bytes, offset: int) -> bytes:
    """*frame* with its offset put in by splicing bytes: the replica never parses a payload."""
    return b'{"offset":%d,%b' % (offset, frame[1:])
