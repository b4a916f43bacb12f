"""A question as callers may see it: what it asks, how it stands, and of its answer what each is to know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from pydantic import Field

from fairlead.questions.asks import Standing, State
from fairlead.questions.confirmation import Choice, Feedback, OnTimeout, Severity, Source
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import Moment, View


class Answer(View):
    """The answer that counts."""

    proceed: bool
    choice: str | None
    feedback: str | None
    """Told to operators alone, as is `content`."""
    content: dict[str, Any] | None
    by: str
    at: Moment
    source: Source
    on_behalf: bool
    """Whether an administrator gave it in the place of those who were asked."""


class Confirmation(View):
    """A question, as it stands."""

    callback_id: str
    """What an answer names; to viewers who may not answer, as far as it does not enable anybody to."""
    task_id: str | None
    step: str | int | None
    responders: list[str]
    """``user:<id>`` and ``role:<role>``; a user sees what it was named as itself."""
    message: str
    severity: Severity
    kind: str
    choices: list[Choice]
    form: dict[str, Any] | None = Field(None, alias="schema")
    feedback: Feedback
    created_at: Moment
    expires_at: Moment
    on_timeout: OnTimeout
    status: State
    answer: Answer | None


def confirmation(standing: Standing, rank: Rank, identity: Identity) -> Confirmation:
    """What a caller may see of a question."""
    asked = standing.asked
    own = [name for name in standing.to if name in (f"user:{identity.user_id}", f"role:{identity.role}")]
    may_hold = rank >= Rank.OPERATOR or own
    return Confirmation(
        callback_id=standing.callback_id if may_hold else standing.id,
        responders=list(standing.to) if rank >= Rank.VIEWER else own,
        schema=asked.get("schema"),
        created_at=_moment(standing.created),
        expires_at=_moment(standing.deadline),
        status=standing.state,
        answer=_answer(standing, rank) if standing.state == "answered" else None,
        **{name: asked[name] for name in _ALIKE},
    )


_ALIKE: Final = ("task_id", "step", "message", "severity", "kind", "choices", "feedback", "on_timeout")


def _answer(standing: Standing, rank: Rank) -> Answer:
    said, is_told_all = standing.response, rank >= Rank.OPERATOR
    return Answer(
        proceed=said["proceed"],
        choice=said["choice"],
        feedback=said["feedback"] if is_told_all else None,
        content=said["content"] if is_told_all else None,
        by=said["by"],
        at=_moment(standing.at),
        source=said["source"],
        on_behalf=bool(said.get("on_behalf")),
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
