"""Real round trips to every connection of a user that is here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from fairlead.names import is_id
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions.replica import Replica

MAX_SECONDS: Final = 10.0
"""How long a ping may be waited for."""

TOGETHER: Final = 500
"""Connections of one user that are pinged, at most."""


async def ping(replica: Replica, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ping the connections of a user that are here; ``round_trip_ms`` is null for one that did not answer in time."""
    match about:
        case {"user_id": str(user_id), "seconds": int() | float() as seconds} if is_id(user_id):
            members = islice(replica.pool.members(f"user:{user_id}"), TOGETHER)
            pinged = [_pinged(replica, one, min(max(seconds, 0.0), MAX_SECONDS)) for one in members if one.is_live]
            return {"answers": await asyncio.gather(*pinged)}
    return {"answers": []}


async def _pinged(replica: Replica, connection: Connection, seconds: float) -> Mapping[str, Any]:
    round_trip_ms = await replica.soundings.round_trip_ms(connection, seconds)
    return {
        "connection_id": connection.id,
        "replica": replica.id,
        "round_trip_ms": round_trip_ms,
        "is_alive": connection.joined,
    }
