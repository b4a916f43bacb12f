"""``presence``: who is in a channel now, on any replica (ST-4)."""

from __future__ import annotations

from fairlead.errors import Forbidden
from fairlead.format.messages import rfc3339
from fairlead.names import checked_channel
from fairlead.state.presence import Stay
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Presence
from fairlead_gateway.sessions.replies import Member, Present


async def presence(context: Context, frame: Presence) -> Present:
    """The users in a channel that this connection hears: each once, with how many connections and since when."""
    name = checked_channel(frame.channel)
    if name not in context.connection.channels and name != f"user:{context.user_id}":
        raise Forbidden(f"subscribe to {name} first", channels=[name])
    stays: dict[str, list[Stay]] = {}
    for stay in await context.replica.seats.stays_in(name):
        stays.setdefault(stay.member.user_id, []).append(stay)
    users: list[Member] = [
        {"user_id": user_id, "connections": len(held), "since": _since(held)} for user_id, held in sorted(stays.items())
    ]
    return {"channel": name, "users": users, "count": len(users)}


def _since(held: list[Stay]) -> str | None:
    """When the first of these connections came."""
    return min((rfc3339(stay.since) for stay in held if stay.since is not None), default=None)
