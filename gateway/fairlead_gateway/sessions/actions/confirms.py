"""``confirm`` and ``list_confirms``: what people answer to questions, and what they have yet to answer (ASK-1)."""

from __future__ import annotations

from fairlead.names import is_id
from fairlead.questions.response import Responder
from fairlead.questions.shown import ack_message, question_message
from fairlead_gateway.sessions import questions
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import Confirm, ListConfirms
from fairlead_gateway.sessions.replies import OpenQuestions
from fairlead_gateway.sessions.voice import encode


async def confirm(context: Context, frame: Confirm) -> None:
    """Answer a question; ``confirm_ack`` is the reply, also to a client that gave no id."""
    role = context.identity.role
    by = Responder(context.user_id, role if is_id(role) else "", "ws", context.connection_id)
    status, standing, faults = await context.replica.questions.answer(
        frame.callback_id, by, frame.proceed, frame.feedback, frame.choice, frame.content
    )
    ack = ack_message(frame.callback_id, status, standing, faults)
    if frame.id is not None:
        ack["ref"], ack["ok"] = frame.id, status in ("accepted", "duplicate")
    context.answer(ack)
    if standing is not None and standing.is_news:
        context.replica.tasks.start(questions.announce(context.replica, standing), name="confirm_closed")


async def list_confirms(context: Context, frame: ListConfirms) -> OpenQuestions:
    """The questions that this user, or somebody of its role, has yet to answer; the most urgent first."""
    found = await context.replica.questions.open_of(questions.asked_of(context.connection))
    reply: OpenQuestions = {"confirms": [question_message(standing) for standing in found]}
    # As for those that are shown to who connects.
    context.connection.socket.make_room(2 * len(encode(reply)))
    return reply
