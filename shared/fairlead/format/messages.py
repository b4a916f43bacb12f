"""A message to clients, finished once by whoever publishes it; replicas only pass its bytes on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from time import time_ns
from typing import Final

from fairlead.errors import InvalidMessage
from fairlead.format.codec import MAX_BYTES, bounded, to_json
from fairlead.format.envelope import Envelope
from fairlead.ids import uuid7
from fairlead.names import checked_id
from fairlead.tracing import current

SYSTEM: Final = "system"

AI: Final = "ai"

MAX_TYPE: Final = 64
"""Characters of a message type."""

MAX_ID: Final = 128
"""Characters of a message id."""

_OURS = frozenset({"type", "id", "from", "to", "channel", "offset", "timestamp"})
"""Fields that the publisher writes; the rest of a message goes through as it is."""


def push(
    message: Mapping[str, object],
    channel: str,
    *,
    sender: str = SYSTEM,
    message_id: str | None = None,
    exclude: str = "",
    trace: str = "",
    requires_ack: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Envelope:
    """
    *message* as the frame that every client of *channel* gets, in its envelope.

    The frame holds ``type, id, from, to, timestamp, channel``, on sessions ``session_id``, and the message's own
    fields (``content``, ``metadata``, …) at top level. An ``id`` in the message counts like *message_id*, a
    ``timestamp`` is kept; its ``from``, ``to``, ``channel`` and ``offset`` are not.

    :param channel: checked already, such as ``session:s1``.
    :param exclude: ``connection:<id>`` or ``user:<id>`` that must not get it.
    :param trace: the ``traceparent`` that it belongs to; that of the current span unless given.
    :param requires_ack: whether clients are asked to acknowledge it, by ``"requires_ack":true`` in the frame.
    :raises InvalidMessage: when a field is missing or of the wrong kind.
    :raises InvalidJson: when a value cannot be carried.
    :raises TooLarge: above *max_bytes*.
    """
    if not isinstance(message, Mapping):
        raise InvalidMessage(f"a message is a mapping with a type, not {type(message).__name__}")
    type_ = checked_type(message.get("type"))
    id_ = checked_message_id(message.get("id") if message_id is None else message_id)
    frame: dict[str, object] = {"type": type_, "id": id_, "from": sender, "to": channel}
    if channel.startswith("session:"):
        frame["session_id"] = channel[8:]
    if requires_ack:
        frame["requires_ack"] = True
    for key, value in message.items():
        if key not in _OURS and key not in frame:
            frame[key] = value
    frame["timestamp"] = _timestamp(message.get("timestamp"))
    frame["channel"] = channel
    return Envelope(id_, type_, bounded(to_json(frame), max_bytes), checked_exclude(exclude), 0, trace or current())


def checked_type(value: object) -> str:
    """*value* as a message type: 1-64 printable characters."""
    if isinstance(value, str) and 0 < len(value) <= MAX_TYPE and value.isprintable():
        return value
    raise InvalidMessage(f"type must be a string of 1-{MAX_TYPE} printable characters")


def checked_status(value: object) -> str:
    """*value* as a word that says how something is: 1-64 printable characters."""
    if isinstance(value, str) and 0 < len(value) <= MAX_TYPE and value.isprintable():
        return value
    raise InvalidMessage(f"status must be a string of 1-{MAX_TYPE} printable characters")


def checked_message_id(value: object) -> str:
    """*value* as a message id of 1-128 printable characters; a new one for None."""
    if value is None:
        return uuid7()
    if isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isprintable():
        return value
    raise InvalidMessage(f"id must be a string of 1-{MAX_ID} printable characters")


def checked_sender(value: object) -> str:
    """*value* as who speaks: ``system``, ``ai``, ``user:<id>`` or ``service:<name>``."""
    if value in (SYSTEM, AI):
        return str(value)
    kind, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in ("user", "service"):
        raise InvalidMessage("from is system, ai, user:<id> or service:<name>")
    return f"{kind}:{checked_id(name, kind)}"


def checked_exclude(value: str) -> str:
    """*value* if it names one connection, one user, or nobody."""
    kind, _, name = value.partition(":")
    if value and kind not in ("connection", "user"):
        raise InvalidMessage("exclude is connection:<id> or user:<id>")
    if value:
        checked_id(name, "exclude")
    return value


def rfc3339(moment: datetime) -> str:
    """``2026-01-31T12:00:00.000Z``; a time without a zone is taken for UTC."""
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def rfc3339_ms(milliseconds: int) -> str:
    """As `rfc3339`, for milliseconds since 1970."""
    seconds, millis = divmod(milliseconds, 1000)
    return f"{_to_the_second(seconds)}.{millis:03d}Z"


def now() -> str:
    """The time, as messages carry it."""
    return rfc3339_ms(time_ns() // 1_000_000)


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _timestamp(given: object) -> object:
    if given is None:
        return now()
    return rfc3339(given) if isinstance(given, datetime) else given
