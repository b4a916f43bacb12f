"""``join_session`` and ``leave_session``: taking part in a conversation, seen by the others in it."""

from __future__ import annotations

from functools import partial

from fairlead.errors import Forbidden
from fairlead.names import channel
from fairlead_gateway.sessions import seating
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import JoinSession, LeaveSession
from fairlead_gateway.sessions.replies import Joined, OfSession


async def join_session(context: Context, frame: JoinSession) -> Joined:
    """Sit down in a session, after a permission check (CON-4); its members learn of a user who was not there."""
    name = channel("session", frame.session_id)
    if not await context.replica.authorizer.allows(context.identity, "join", name):
        raise Forbidden(f"you are not a member of session {frame.session_id}", channels=[name])
    caught = await seating.sit(context.replica, context.connection, [name], frame.recover)
    context.afterwards.append(partial(seating.go_on, context.replica, context.connection, caught))
    context.connection.session_id = frame.session_id
    return {
        "session_id": frame.session_id,
        "channels": seating.told(caught),
    }


async def leave_session(context: Context, frame: LeaveSession) -> OfSession:
    """Get up; the others learn at once when no connection of the user remains. Where one is not, nothing changes."""
    seating.stand_up(context.replica, context.connection, [channel("session", frame.session_id)])
    return {"session_id": frame.session_id}
