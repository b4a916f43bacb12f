"""Why a connection ends and why a request is refused: two tables, from which clients and README are tested."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

Then: TypeAlias = Literal["stop", "back_off", "delay", "renew"]
"""What a client does after a close: come back not at all, after a back-off, after the delay in the reason, with a new
token."""


class Close(NamedTuple):
    """One reason to end a connection. The number says what to do: 40xx stop, 41xx back off, 42xx now, 44xx login."""

    code: int
    word: str
    client: str
    """What it means for the client, in words."""

    then: Then = "back_off"

    def reason(self, text: str = "") -> str:
        """``machine_word: short text`` within the 123 bytes that a close frame can carry."""
        full = f"{self.word}: {text}" if text else self.word
        return full.encode()[:123].decode(errors="ignore")


GOING_AWAY: Final = Close(1001, "going_away", "reconnects with jitter")
TOO_LARGE: Final = Close(1009, "too_large", "stops sending that")
RESTART: Final = Close(1012, "restart", "reconnects with jitter")
REPLICA_FULL: Final = Close(1013, "replica_full", "backs off, reconnects")
BAD_REQUEST: Final = Close(4000, "bad_request", "stops", "stop")
KICKED: Final = Close(4003, "kicked", "stops", "stop")
REPLACED: Final = Close(4009, "replaced", "stops", "stop")
SLOW_CONSUMER: Final = Close(4100, "slow_consumer", "backs off, reconnects, recovers")
HEARTBEAT_TIMEOUT: Final = Close(4101, "heartbeat_timeout", "backs off, reconnects")
INTERNAL_ERROR: Final = Close(4102, "internal_error", "backs off, reconnects")
FLOODING: Final = Close(4129, "flooding", "backs off, reconnects")
DRAIN: Final = Close(4200, "drain", "reconnects after the delay in the reason (ms)", "delay")
"""The text of its reason is a decimal integer and no more: ``drain: 350`` asks for 350 milliseconds of patience."""

TOKEN_EXPIRED: Final = Close(4401, "token_expired", "refreshes the token, reconnects", "renew")
FORBIDDEN: Final = Close(4403, "forbidden", "stops", "stop")
AUTH_TIMEOUT: Final = Close(4408, "auth_timeout", "backs off, reconnects")
TOO_MANY_CONNECTIONS: Final = Close(4429, "too_many_connections", "backs off, reconnects")

CLOSES: Final = (
    GOING_AWAY,
    TOO_LARGE,
    RESTART,
    REPLICA_FULL,
    BAD_REQUEST,
    KICKED,
    REPLACED,
    SLOW_CONSUMER,
    HEARTBEAT_TIMEOUT,
    INTERNAL_ERROR,
    FLOODING,
    DRAIN,
    TOKEN_EXPIRED,
    FORBIDDEN,
    AUTH_TIMEOUT,
    TOO_MANY_CONNECTIONS,
)
"""Every code that the server closes with, beside those of RFC 6455 itself (1000, 1002, 1003, 1007)."""

_WORDS: Final = {
    1000: "normal",
    1002: "protocol_error",
    1003: "unsupported",
    1005: "no_code",
    1006: "lost",
    1007: "not_utf8",
    1008: "policy",
    1011: "internal_error",
    **{close.code: close.word for close in CLOSES},
}


def word_of(code: int) -> str:
    """How *code* is called in logs and figures, whoever closed with it; ``other`` for one of a client's own."""
    return _WORDS.get(code, "other")


_THEN: Final[dict[int, Then]] = {close.code: close.then for close in CLOSES}

_THEN_BY_HUNDREDS: Final[dict[int, Then]] = {40: "stop", 42: "delay", 44: "stop"}


def then(code: int) -> Then:
    """What a client does after a close with *code*, be it one that only its hundreds say something about."""
    return _THEN.get(code) or _THEN_BY_HUNDREDS.get(code // 100, "back_off")


ERRORS: Final = {
    "invalid_json": "The frame is not JSON (or msgpack), or holds what cannot be carried; send it again, corrected.",
    "invalid_message": "A field is missing or of the wrong kind; the message names it.",
    "unknown_action": "No such action is built in or registered.",
    "unauthorized": "The token is missing, expired or not ours.",
    "forbidden": "Your claims and memberships do not allow this.",
    "not_found": "There is no such thing, or none that you may see.",
    "rate_limited": "Too many messages or bytes; wait for detail.retry_ms.",
    "too_large": "The message is larger than allowed; detail says by how much.",
    "conflict": "The state has moved on; read it again.",
    "duplicate": "This id was seen before; nothing was done again.",
    "expired": "The deadline has passed.",
    "handler_timeout": "The handler did not answer in time.",
    "unavailable": "Redis did not take it, or (detail.unknown) may have it and did not confirm it in time; try again.",
    "internal": "A fault of ours; it was logged.",
}
"""Every code of an error frame, and what it means to whoever reads it."""
