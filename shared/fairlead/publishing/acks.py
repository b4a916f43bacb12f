"""
Messages that somebody must acknowledge: what Redis keeps of one, and when it is sent again (RT-5).

``pending -> delivered | expired``, moved by scripts that compare before they set, on the clock of Redis: there is one
outcome, the same for whoever asks, and nothing that comes later changes it.
"""

from __future__ import annotations

from math import isfinite
from random import uniform
from typing import Any, Final, Literal, NamedTuple

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import from_json, to_json
from fairlead.format.envelope import Envelope
from fairlead.names import Names
from fairlead.publishing.sent import Acknowledger, Outcome
from fairlead.redis.calls import Call
from fairlead.redis.query import Query
from fairlead.redis.scripts import load

ACK_SECONDS: Final = 5.0
"""How long a sender waits when it does not say."""

MAX_ACK_SECONDS: Final = 3600.0

KEPT_MS: Final = int(MAX_ACK_SECONDS * 1000)
"""How long an outcome is kept after the deadline, for who sends again with the same id."""

COPIES: Final = 2
"""How often at most a message that nobody acknowledged is sent again."""

TOGETHER: Final = 1000
"""Messages that are acknowledged at once, when somebody has all up to an offset."""

_EXPECT: Final = load("expect")
_ACKNOWLEDGE: Final = load("acknowledge")
_OUTCOME: Final = load("outcome")
_AWAITED: Final = load("awaited")

_ENDED: Final = {"delivered", "expired"}


class Standing(NamedTuple):
    """How it stands with a message at this moment."""

    outcome: Outcome | None
    """None while it is pending."""
    left_seconds: float


class Record(NamedTuple):
    """Where Redis keeps what is known of one message."""

    key: str
    awaited: str
    message_id: str


class Way(NamedTuple):
    """How far a message has come on its way; times are Unix milliseconds of Redis."""

    status: Literal["pending", "delivered", "expired"]
    by: Acknowledger | None
    at: int
    """When it was acknowledged; 0 while it was not."""
    deadline: int


def record(names: Names, channel: str, message_id: str) -> Record:
    """The record of one message of *channel*."""
    return Record(names.ack(channel, message_id), names.awaited(channel), message_id)


def expect(record: Record, reply: str, seconds: float) -> Call:
    """Write down that the outcome is waited for at the stream *reply*; answers what `standing` reads."""
    wait_ms = max(1, round(seconds * 1000))
    return _EXPECT, [record.key, record.awaited], (reply, wait_ms, KEPT_MS, record.message_id)


def look(record: Record) -> Call:
    """Ask how it stands; answers what `standing` reads."""
    return _OUTCOME, [record.key], ()


def acknowledge(record: Record, by: Acknowledger) -> Call:
    """Acknowledge in the name of *by*; answers what became of that, and where to tell the sender or nothing."""
    return _ACKNOWLEDGE, [record.key, record.awaited], (to_json(by._asdict()), record.message_id)


def awaited(names: Names, channel: str, offset: int, epoch: str) -> Call:
    """Ask for the ids of messages up to *offset* that somebody waits for; no *epoch* means the one of now."""
    _, meta, seen, term = names.of_durable(channel)
    return _AWAITED, [names.awaited(channel), seen, meta, term], (offset, epoch, TOGETHER)


def standing(reply: list[Any]) -> Standing:
    """What Redis says about a message; one that it knows nothing of has failed, since nothing more will be known."""
    state, by, left_ms = reply[0].decode(errors="replace"), reply[1], reply[2]
    if state == "pending":
        return Standing(None, left_ms / 1000)
    return Standing(Outcome(state, _acknowledger(by)) if state in _ENDED else Outcome("failed"), 0.0)


def way(names: Names, channel: str, message_id: str) -> Query[Way | None]:
    """How far one message of *channel* has come; None where nobody waits, or has waited for long."""
    key = names.ack(channel, message_id)
    return Query([("HMGET", key, "state", "by", "at", "deadline"), ("TIME",)], _way)


def moments(seconds: float) -> list[float]:
    """When within *seconds* an unacknowledged message is sent again; never in step with others."""
    return [seconds * (n + uniform(-0.15, 0.15)) / (COPIES + 1) for n in range(1, COPIES + 1)]


def copy(envelope: Envelope, attempt: int) -> Envelope:
    """*envelope* to be sent again as ``"attempt": 2``, then 3: a client acknowledges every copy, and acts once."""
    body = from_json(envelope.frame)
    assert isinstance(body, dict)
    return envelope._replace(frame=to_json({**body, "attempt": attempt}))


def checked_seconds(value: object) -> float:
    """*value* as a time to wait for an acknowledgement: above 0 and at most `MAX_ACK_SECONDS`."""
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and isfinite(value)
        and 0 < value <= MAX_ACK_SECONDS
    ):
        return float(value)
    raise InvalidMessage(f"ack_timeout is a number of seconds, above 0 and at most {MAX_ACK_SECONDS:g}")


def _way(replies: list[Any]) -> Way | None:
    (state, by, at, deadline), (seconds, micros) = replies
    if state is None:
        return None
    if state == b"delivered":
        return Way("delivered", _acknowledger(by or b""), _ms(at), _ms(deadline))
    is_over = int(seconds) * 1000 + int(micros) // 1000 >= _ms(deadline)
    return Way("expired" if is_over or state == b"expired" else "pending", None, 0, _ms(deadline))


def _ms(text: bytes | None) -> int:
    """A time of Redis in ms; 0 for what is none."""
    return int(text) if text and text.isdigit() and len(text) < 15 else 0


def _acknowledger(by: bytes) -> Acknowledger | None:
    try:
        facts = from_json(by)
    except InvalidJson:
        return None
    match facts:
        case {"user_id": str(user_id), "device_id": str(device_id), "connection_id": str(connection_id)}:
            return Acknowledger(user_id, device_id, connection_id)
    return None
