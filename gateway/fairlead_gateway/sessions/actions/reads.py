"""``read``: a user has read a message of a session; its sender and the reader's other devices learn it (ST-5)."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from fairlead.errors import NotFound
from fairlead.names import id_of, kind_of
from fairlead_gateway.sessions.actions.messages import joined_session
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Read
from fairlead_gateway.sessions.replies import ReadTold

if TYPE_CHECKING:
    from fairlead.pushes import MessageStatusUpdate

KEPT_PEOPLE: Final = 20
"""People in a session up to whom receipts are kept."""


async def read(context: Context, frame: Read) -> ReadTold:
    """
    Tell the sender, and the other devices of this user, that the message was read.

    In a session of few people that is kept for those who are away, and a repeat tells nobody again. A crowd that reads
    would push out of the sender's history what was meant for it. One's own message needs no receipt: nothing is told.
    """
    session, message_id = joined_session(context, frame.session_id), frame.message_id
    sender = await context.replica.history.sender(session, message_id)
    if sender is None:
        raise NotFound("no such message in the history of this session", message_id=message_id)
    reply: ReadTold = {"session_id": id_of(session), "message_id": message_id, "status": "own"}
    reader = f"user:{context.user_id}"
    if sender == reader:
        return reply
    push: MessageStatusUpdate = {
        "type": "message_status_update",
        "session_id": id_of(session),
        "message_id": message_id,
        "status": "read",
        "user_id": context.user_id,
    }
    once = "read-" + sha256(f"{session} {reader} {message_id}".encode()).hexdigest()[:32]
    own = f"connection:{context.connection_id}"
    durable = None if await context.replica.seats.people_in(session) <= KEPT_PEOPLE else False
    told = [context.publish(reader, push, exclude=own, message_id=once, durable=durable)]
    if kind_of(sender) == "user":
        told.append(context.publish(sender, push, message_id=once, durable=durable))
    is_repeat = all(sent.duplicate for sent in await asyncio.gather(*told))
    if not is_repeat:
        facts = {"session_id": id_of(session), "message_id": message_id, "sender": sender}
        context.replica.events.emit("message_read", user_id=context.user_id, **facts)
    reply["status"], reply["duplicate"] = "read", is_repeat
    return reply
