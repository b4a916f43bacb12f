"""``message`` and ``typing``: what one user says to others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fairlead.errors import Forbidden, InvalidMessage
from fairlead.format.messages import MAX_ID
from fairlead.ids import uuid7
from fairlead.names import channel, checked_channel, id_of, kind_of
from fairlead.streams.inbound import MESSAGE
from fairlead_gateway.sessions import forwarding, people
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Message, Typing
from fairlead_gateway.sessions.handlers import answer
from fairlead_gateway.sessions.replies import OfSession, Stored

if TYPE_CHECKING:
    from fairlead.pushes import NewMessage


async def message(context: Context, frame: Message) -> Stored:
    """
    Store what was said and bring it to the others as ``new_message``, then hand it to whoever registered for its type.

    The sender's connection is spared its own message: the reply holds its id and offset and stands for it. With an id
    of the client's own, what was stored before is neither stored nor handed on again: the reply says ``duplicate``.
    """
    destination = await _destination(context, frame)
    push: NewMessage = {"type": "new_message", "message_type": frame.message_type, "content": frame.content}
    if frame.metadata is not None:
        push["metadata"] = frame.metadata
    own, message_id = f"connection:{context.connection_id}", _scoped(context, frame.message_id) or uuid7()
    context.replica.trail.note("received", message_id, destination, context.user_id, context.connection_id, MESSAGE)
    sent = await context.publish(destination, push, exclude=own, message_id=message_id)
    reply: Stored = {"message_id": sent.id, "channel": destination}
    if sent.offset:
        reply["offset"], reply["epoch"], reply["status"] = sent.offset, sent.epoch, "sent"
    if sent.duplicate:
        reply["duplicate"] = True
        return reply
    forwarding.tell(context, sent.id, destination, context.frame)
    context.replica.events.emit(
        "message_received",
        message_id=sent.id,
        channel=destination,
        user_id=context.user_id,
        connection_id=context.connection_id,
        message_type=frame.message_type,
        content=frame.content,
    )
    handler = context.replica.handlers.get(frame.message_type)
    if handler is not None:
        reply["result"] = await answer(handler, {**push, "id": sent.id, "channel": destination}, context)
    return reply


async def typing(context: Context, frame: Typing) -> OfSession:
    """
    Show the other members of a session that this user is typing, or has stopped; at most once.

    Who falls silent has stopped. What they know already they are not told again, or not often.
    """
    name = joined_session(context, frame.session_id)
    replica, connection = context.replica, context.connection
    news = replica.typists.note(connection, name, frame.is_typing, asyncio.get_running_loop().time())
    if news == "changed":
        people.typing_changed(replica, connection, name, frame.is_typing)
    if news:
        await people.typing(replica, connection, name, frame.is_typing)
    return {"session_id": id_of(name)}


async def _destination(context: Context, frame: Message) -> str:
    if frame.to is None:
        return joined_session(context, frame.session_id)
    name = checked_channel(frame.to)
    if kind_of(name) == "session":
        return joined_session(context, id_of(name))
    if kind_of(name) == "user" and context.replica.settings.direct_messages and not context.identity.anonymous:
        return name
    if not await context.replica.authorizer.allows(context.identity, "write", name):
        raise Forbidden(f"you may not write to {name}", channels=[name])
    return name


def _scoped(context: Context, message_id: str | None) -> str | None:
    """
    The id that a client chose, as nobody else can have chosen it: ``42/its-own``; as that it may be said again.

    :raises InvalidMessage: the two together are longer than an id may be.
    """
    if message_id is None:
        return None
    user = f"{context.user_id}/"
    scoped = message_id if message_id.startswith(user) else user + message_id
    if len(scoped) > MAX_ID:
        raise InvalidMessage(f"message_id: at most {MAX_ID - len(user)} characters, for you", field="message_id")
    return scoped


def joined_session(context: Context, session_id: str | None) -> str:
    """The channel of the session meant, which must have been joined."""
    session_id = session_id or context.session_id
    if not session_id:
        raise InvalidMessage("session_id is missing: join a session first, or say to whom")
    name = channel("session", session_id)
    if name not in context.connection.channels:
        raise Forbidden(f"join session {session_id} first", channels=[name])
    return name
