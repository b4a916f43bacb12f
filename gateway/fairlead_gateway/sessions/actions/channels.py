"""``subscribe`` and ``unsubscribe``: the channels a connection hears beside its own."""

from __future__ import annotations

from functools import partial

from fairlead.errors import Forbidden, InvalidMessage
from fairlead.names import checked_channel, kind_of
from fairlead_gateway.sessions import seating
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Subscribe, Unsubscribe
from fairlead_gateway.sessions.replies import Heard, Left


async def subscribe(context: Context, frame: Subscribe) -> Heard:
    """
    Hear all the channels that are asked for, or none of them; answers where each stands.

    What was missed since the positions in ``recover`` follows the reply; so a client fills a gap in a channel it hears.
    """
    channels = [checked_channel(name) for name in frame.channels]
    await ensure_allowed(context, channels)
    caught = await seating.sit(context.replica, context.connection, channels, frame.recover)
    context.afterwards.append(partial(seating.go_on, context.replica, context.connection, caught))
    return {"channels": seating.told(caught)}


async def unsubscribe(context: Context, frame: Unsubscribe) -> Left:
    """Hear *channels* no more; the user's own channel stays."""
    channels = [checked_channel(name) for name in frame.channels]
    if own := [channel for channel in channels if kind_of(channel) in seating.ONES_OWN]:
        raise InvalidMessage(f"{own[0]} belongs to the connection and stays", channels=own)
    seating.stand_up(context.replica, context.connection, channels)
    return {"channels": channels}


async def ensure_allowed(context: Context, channels: list[str]) -> None:
    """:raises Forbidden: naming every channel that the claims and the authorizer do not allow."""
    authorizer = context.replica.authorizer
    denied = [name for name in channels if not await authorizer.allows(context.identity, "subscribe", name)]
    if denied:
        raise Forbidden(f"your token and memberships do not allow {', '.join(denied)[:200]}", channels=denied)
