"""A question as a request asks it, and as it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from fairlead.errors import InvalidMessage
from fairlead.questions.confirmation import Choice, Escalation, Feedback, OnTimeout, Severity
from fairlead.questions.question import Question, free_question, step_question
from fairlead_gateway.rest.route import Asked, Body, Id, Params


class Asking(Body):
    """A question: whether to go on, what to choose (``choices``), or a form to fill in (``schema``)."""

    responders: list[str] = Field(min_length=1, max_length=50)
    """Who may answer, the first of whom decides: user ids, and ``role:<role>``."""
    message: str
    task_id: Id | None = None
    """The task it belongs to; cancelling the task cancels the question."""
    step: str | int | None = None
    """The step of the task after which it is asked; the same step with the same result is the same question."""
    step_result: dict[str, Any] | None = None
    severity: Severity = "info"
    choices: list[Choice] | None = Field(None, min_length=1, max_length=50)
    form: dict[str, Any] | None = Field(None, alias="schema")
    """A flat JSON schema."""
    feedback: Feedback = "optional"
    timeout: float | None = None
    """Seconds to wait for an answer, 1 to 86,400."""
    on_timeout: OnTimeout | None = None
    """What it comes to without one."""
    escalate: list[Escalation] = Field([], max_length=10)
    """Who else is asked when nobody has answered."""
    idempotency_key: str | None = Field(None, min_length=1, max_length=512)
    """Asked again under the same key, it is the same question."""
    require_online: bool = False
    """Whether to give up at once when nobody who may answer is connected."""


def question_of(asked: Asked[Params, Asking]) -> Question:
    """
    What is asked, checked.

    :raises InvalidMessage: it cannot be asked.
    """
    body, policy = asked.body, asked.api.replica.settings.ask_policy
    wording: dict[str, Any] = {"schema": body.form, **{name: getattr(body, name) for name in _WORDING}}
    if body.step is None:
        if body.step_result is not None:
            raise InvalidMessage("step_result goes with task_id and step: it is what the step has come to")
        return free_question(body.responders, body.message, policy, task_id=body.task_id, **wording)
    if body.task_id is None:
        raise InvalidMessage("step goes with task_id: say which task it is a step of")
    result: Mapping[str, Any] = {"step": str(body.step), "message": body.message, **(body.step_result or {})}
    return step_question(
        result,
        body.responders[0],
        body.task_id,
        body.step,
        policy,
        responders=body.responders,
        message=body.message,
        **wording,
    )


_WORDING: Final = (
    *("timeout", "on_timeout", "severity", "choices", "feedback", "escalate", "idempotency_key", "require_online"),
)
