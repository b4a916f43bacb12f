"""``join_session`` and ``leave_session``: taking part in a conversation, seen by the others in it."""

from __future__ import annotations

from functools import partial
from typing import Any

from fairlead.errors import Forbidden
from fairlead.names import channel
from fairlead_gateway.sessions import seating
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import JoinSession, LeaveSession


async def join_session(context: Context, frame: JoinSession) -> dict[str, Any]:
    """Sit down in a session, after a permission check (CON-4), and let its members know."""
    name = channel("session", frame.session_id)
    if not await context.replica.authorizer.allows(context.identity, "join", name):
        raise Forbidden(f"you are not a member of session {frame.session_id}", channels=[name])
    was_there = name in context.connection.channels
    caught = await seating.sit(context.replica, context.connection, [name], frame.recover)
    context.afterwards.append(partial(seating.go_on, context.replica, context.connection, caught))
    context.connection.session_id = frame.session_id
    if not was_there:
        # A task, so that the reply is written before the news of it.
        news = seating.announce(context.replica, context.connection, "session_joined", name)
        context.replica.tasks.start(news, name="session_joined")
    return {
        "session_id": frame.session_id,
        "channels": seating.told(caught),
    }


async def leave_session(context: Context, frame: LeaveSession) -> dict[str, Any]:
    """Get up, and let the remaining members know; leaving where one is not changes nothing."""
    name = channel("session", frame.session_id)
    connection = context.connection
    was_there = name in connection.channels
    seating.stand_up(context.replica, connection, [name])
    if was_there:
        news = seating.announce(context.replica, connection, "session_left", name)
        context.replica.tasks.start(news, name="session_left")
    return {"session_id": frame.session_id}
