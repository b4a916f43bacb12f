"""``history``: what a channel that is heard has said so far, page by page."""

from __future__ import annotations

from typing import Final

from fairlead.errors import Forbidden, InvalidMessage
from fairlead.format.past import ensure_kept
from fairlead.names import checked_channel, id_of, kind_of
from fairlead_gateway.facts.history import told
from fairlead_gateway.sessions import seating
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import History
from fairlead_gateway.sessions.reading import ref_of
from fairlead_gateway.sessions.replies import Said

_FIRST: Final = {"session": "join session {id} first", "task": "subscribe to task {id} first (subscribe_task)"}
"""What to do to hear a channel of these kinds; of others, subscribe."""


async def history(context: Context, frame: History) -> Said:
    """
    What a durable channel that this connection hears has said last, or before an offset.

    Together with what is heard since, nothing is missing between the two: what comes twice has the same offset.
    """
    name = checked_channel(frame.channel)
    ensure_kept(name, context.replica.publisher.is_durable(name))
    if name not in (*context.connection.channels, *seating.own_channels(context.connection)):
        raise Forbidden(_how_to_hear(name), channels=[name])
    if ref_of(context.frame) is None:
        raise InvalidMessage("give it an id: the page is the answer to that")
    page = await context.replica.history.page(name, frame.limit, frame.before)
    messages, offset, epoch, more, before = told(page, f"user:{context.user_id}")
    # One message may be larger than an outbox, which is no fault of a client who reads slowly.
    context.connection.socket.make_room(2 * page.size)
    return {"channel": name, "epoch": epoch, "offset": offset, "messages": messages, "more": more, "before": before}


def _how_to_hear(name: str) -> str:
    if kind_of(name) in seating.ONES_OWN:
        return f"{name} is not yours to hear"
    return _FIRST.get(kind_of(name), "subscribe to {name} first").format(id=id_of(name), name=name)
