"""``presence``: who is in a channel now, on any replica (ST-4)."""

from __future__ import annotations

from typing import Any

from fairlead.errors import Forbidden
from fairlead.names import checked_channel
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Presence


async def presence(context: Context, frame: Presence) -> dict[str, Any]:
    """The users in a channel that this connection hears, each once, with how many connections they have there."""
    name = checked_channel(frame.channel)
    if name not in context.connection.channels and name != f"user:{context.user_id}":
        raise Forbidden(f"subscribe to {name} first", channels=[name])
    counts: dict[str, int] = {}
    for seat in await context.replica.seats.who_is_in(name):
        counts[seat.user_id] = counts.get(seat.user_id, 0) + 1
    users = [{"user_id": user_id, "connections": count} for user_id, count in sorted(counts.items())]
    return {"channel": name, "users": users, "count": len(users)}
