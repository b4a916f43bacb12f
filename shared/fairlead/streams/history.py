"""Connections that have ended: who, when, for how long, and why (CON-10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fairlead.errors import InvalidJson
from fairlead.format.codec import from_json
from fairlead.streams.entries import LATEST, Fields, backwards, entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.names import Names
    from fairlead.redis.connection import Command

KEPT: Final = 10_000
"""Connections that are kept."""

PAGE: Final = 500
"""Records read at once."""

LOST: Final = 1006
"""The code of a connection whose replica died: nobody closed it."""


_NEVER: Final = 1e11
"""Unix seconds that no clock of ours will show."""


class PastConnection(NamedTuple):
    """A connection that has ended."""

    connection_id: str
    user_id: str
    connected_at: datetime
    ended_at: datetime
    code: int
    """As in its close frame; 1006 when there was none."""
    reason: str
    replica: str
    address: str
    """Where it came from; empty when its replica died."""
    device_id: str

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.ended_at - self.connected_at).total_seconds()


class Page(NamedTuple):
    """A part of the history, the latest first."""

    records: list[PastConnection]
    before: str
    """Where the next page begins; empty when there is none."""


def since_of(connection_id: str) -> float:
    """Unix seconds in which a connection began, as its id tells; 0 for one that we have not made."""
    digits = connection_id.replace("-", "")[:12]
    try:
        return int(digits, 16) / 1000 if len(digits) == 12 else 0.0
    except ValueError:
        return 0.0


def page(names: Names, before: str = LATEST) -> Command:
    """The command that reads a page; see `paged`."""
    return backwards(names.connection_history, before, PAGE)


def paged(reply: Any) -> Page:
    """What `page` found; what makes no sense is left out."""
    found = entries(reply)
    records = [one for entry in found if (one := record(entry.fields)) is not None]
    return Page(records, found[-1].id if len(found) == PAGE else "")


def record(fields: Fields) -> PastConnection | None:
    """The connection that one entry tells of; None where it makes no sense."""
    try:
        facts = from_json(fields.get(b"facts", b""))
    except InvalidJson:
        return None
    match facts:
        case {
            "connection_id": str(connection_id),
            "user_id": str(user_id),
            "connected_at": float() | int() as connected_at,
            "ended_at": float() | int() as ended_at,
            "code": int(code),
            "reason": str(reason),
            "replica": str(replica),
            "address": str(address),
            "device_id": str(device_id),
        } if 0 <= connected_at < _NEVER and 0 <= ended_at < _NEVER:
            # Of a dead replica's connections another one tells, whose clock may be behind.
            began, end = _moment(connected_at), _moment(max(connected_at, ended_at))
            return PastConnection(connection_id, user_id, began, end, code, reason, replica, address, device_id)
    return None


def chosen(records: Sequence[PastConnection], user_id: str | None) -> list[PastConnection]:
    """Those of *user_id*, or all."""
    return [one for one in records if user_id is None or one.user_id == user_id]


def _moment(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
