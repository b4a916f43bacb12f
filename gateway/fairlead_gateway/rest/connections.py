"""``connections``: who is connected, on whichever replica."""

from __future__ import annotations

from typing import Any, Final

from fairlead.errors import NotFound
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import Asked, Id, Moment, Nothing, Params, Rows, View, row


class ById(Params):
    """One connection."""

    id: Id


class Connection(View):
    """A connection (CON-2)."""

    connection_id: str
    user_id: str
    session_id: str | None
    instance: str | None
    connected_at: Moment
    last_ping: Moment | None
    last_pong: Moment | None
    round_trip_ms: float | None
    is_alive: bool
    replica: str
    address: str
    metadata: dict[str, Any]


async def get_connection(asked: Asked[ById, Nothing]) -> Connection:
    """One connection, with all that may be shown of it."""
    id = asked.params.id
    survey = await asked.api.surveys.ask("connection", {"id": id}, of=f"connection:{id}")
    for found in survey.found.values():
        for one in found["connections"]:
            return Connection.model_validate(one)
    raise NotFound(f"there is no connection {id}")


ROWS: Final[Rows] = (
    row("GET", "/connections/{id}", Rank.VIEWER, get_connection, params=ById, answer=Connection, errors=("not_found",)),
)
