"""Entries of a stream and their fields, which anybody who can write to Redis may have written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fairlead.errors import InvalidMessage

if TYPE_CHECKING:
    from fairlead.redis.connection import Command

Fields = Mapping[bytes, bytes]

LATEST: Final = "+"
"""Where whoever reads backwards begins."""


class Written(NamedTuple):
    """One entry."""

    id: str
    fields: Fields


def backwards(stream: str, before: str, count: int) -> Command:
    """
    The command that reads *count* entries, the latest first; see `entries`.

    :param before: an id, of which only what is older is read, or `LATEST`.
    """
    return "XREVRANGE", stream, before if before == LATEST else f"({before}", "-", "COUNT", count


def entries(reply: Any) -> list[Written]:
    """What Redis found, whichever of its protocols and whichever client brought it."""
    found = reply.items() if isinstance(reply, Mapping) else reply
    return [Written(id.decode(), _fields(fields)) for id, fields in found]


def _fields(fields: Any) -> Fields:
    return fields if isinstance(fields, Mapping) else dict(zip(fields[::2], fields[1::2], strict=True))


def text(fields: Fields, name: bytes) -> str:
    """The field *name*, or `InvalidMessage`: missing, or not UTF-8."""
    try:
        return fields[name].decode()
    except KeyError:
        raise InvalidMessage(f"the field {name.decode()} is missing") from None
    except UnicodeDecodeError:
        raise InvalidMessage(f"the field {name.decode()} is not UTF-8") from None


def optional(fields: Fields, name: bytes) -> str:
    """As `text`; empty when it is missing."""
    return text(fields, name) if name in fields else ""


def moment(fields: Fields, name: bytes) -> datetime:
    """The time in a field, as `fairlead.format.messages.now` writes it; as `text`."""
    try:
        return datetime.fromisoformat(text(fields, name))
    except ValueError:
        raise InvalidMessage(f"the field {name.decode()} is not a time") from None
