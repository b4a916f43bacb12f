"""Connections that an administrator ends: on whichever replica they are, written down where it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import structlog

from fairlead import codes
from fairlead.codes import Close
from fairlead.names import kind_of
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import leaving
from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)

CHOICES: Final[Mapping[int, Close]] = {close.code: close for close in (codes.KICKED, codes.DRAIN, codes.TOKEN_EXPIRED)}
"""With what one may be closed: to stay away, to come back at once (perhaps to another replica), or with a new token."""

NAMED: Final = 2000
"""Connections closed that an answer names at most; they are all counted."""

TOGETHER: Final = 50
"""Connections closed in a row; then others have their turn."""

_TEXT_CHARACTERS: Final = 256


class Closing(NamedTuple):
    """Whom to close, and what is said about it."""

    channel: str
    """``user:42``, or ``connection:<id>``."""
    code: int
    """One of `CHOICES`."""
    reason: str
    by: str
    """Who wants it."""

    @property
    def frame_reason(self) -> str:
        """What the client reads; that of a drain is a number of milliseconds and no more."""
        close = CHOICES[self.code]
        return close.reason("0" if close is codes.DRAIN else self.reason)


def closing_of(about: Mapping[str, Any]) -> Closing | None:
    """What a question says; None if that is nothing that anybody here would ask."""
    match about:
        case {"channel": str(channel), "code": int(code), "reason": str(reason), "by": str(by)}:
            if kind_of(channel) in ("user", "connection") and code in CHOICES:
                return Closing(channel, code, reason[:_TEXT_CHARACTERS], by[:_TEXT_CHARACTERS])
    return None


async def close(replica: Replica, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Close every connection here that hears a channel, and tell which these were."""
    closing = closing_of(about)
    closed: list[Connection] = []
    for number, one in enumerate(replica.pool.everyone(closing.channel) if closing else (), start=1):
        if closing is not None and one.joined:
            leaving.end_as(replica, one, closing.code, closing.frame_reason)
            _write_down(replica, one, closing)
            closed.append(one)
        if number % TOGETHER == 0:
            await replica.turns.next()
    named = [{"connection_id": one.id, "user_id": one.user_id, "replica": replica.id} for one in closed[:NAMED]]
    return {"closed": named, "count": len(closed)}


def _write_down(replica: Replica, connection: Connection, closing: Closing) -> None:
    facts = {
        "by": closing.by,
        "to": f"user:{connection.user_id}",
        "connection_id": connection.id,
        "code": str(closing.code),
        "reason": closing.reason,
    }
    replica.told.audited("disconnected", **facts)
    log.info("disconnected by an administrator", user_id=connection.user_id, **facts)
