"""Fields of the entries of a stream, which anybody who can write to Redis may have written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fairlead.errors import InvalidMessage

Fields = Mapping[bytes, bytes]


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
    """The time in a field, as `fairlead.messages.now` writes it; as `text`."""
    try:
        return datetime.fromisoformat(text(fields, name))
    except ValueError:
        raise InvalidMessage(f"the field {name.decode()} is not a time") from None
