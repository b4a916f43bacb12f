"""Forwarding: what clients say, handed on to backends, and what those answer (MSG-5, MSG-7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.format.messages import SYSTEM
from fairlead.ids import uuid7
from fairlead.streams import answers
from fairlead.streams.answers import Asked
from fairlead.streams.inbound import MESSAGE
from fairlead_gateway.access.identity import matches
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.reading import ref_of


def is_forwarded(patterns: Sequence[str], action: str) -> bool:
    """Whether backends are asked for *action*, which nobody has registered here."""
    return any(matches(pattern, action) for pattern in patterns)


async def forward(context: Context, action: str, ref: str | None, frame: Mapping[str, Any]) -> dict[str, Any]:
    """
    What a backend answers to *action*; a client that has given it no id waits for nothing.

    :raises FairleadError: the backend refuses, or does not answer in time.
    """
    replica, connection = context.replica, context.connection
    asked = Asked(uuid7(), context.user_id, context.connection_id, ref or "", "")
    _note(context, asked.id, asked.channel, action)
    if ref is None:
        await replica.told.unasked(action, asked.id, frame, **_who(context))
        return {}
    limit = replica.settings.message_timeout_seconds
    # So that the last look at the answer is over before the action is.
    seconds = limit - min(0.5, limit / 10)
    collected = await replica.told.ask(action, asked, frame, seconds, **_who(context))
    if not connection.joined:
        # Nobody else will say it: we have taken it.
        await replica.publisher.publish(asked.channel, answers.late(asked, collected.answer, SYSTEM))
    return answers.result_of(collected.answer)


def tell(context: Context, message_id: str, channel: str, frame: Mapping[str, Any]) -> None:
    """Let backends know of a message that was stored."""
    if context.replica.settings.forward_messages:
        _note(context, message_id, channel, MESSAGE)
        context.replica.told.message(message_id, channel, frame, ref=ref_of(frame) or "", **_who(context))


def _note(context: Context, id: str, channel: str, action: str) -> None:
    context.replica.trail.note("forwarded", id, channel, context.user_id, context.connection_id, action)


def _who(context: Context) -> dict[str, str]:
    identity = context.identity
    return {
        "user_id": context.user_id,
        "connection_id": context.connection_id,
        "session_id": context.session_id,
        "role": identity.role,
        "device_id": identity.device_id,
    }
