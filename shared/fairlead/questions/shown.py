"""What people are shown of a question: it, that it is over, and what became of an answer (protocol §2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fairlead.format.messages import rfc3339
from fairlead.questions.asks import Standing
from fairlead.questions.confirmation import Asked, OnTimeout, Unanswered, UserConfirmation
from fairlead.questions.response import Fault

if TYPE_CHECKING:
    from fairlead.pushes import ConfirmAck, QuestionAsked, QuestionClosed, QuestionShown


def question_message(standing: Standing) -> QuestionAsked:
    """The push that asks; the fields of the step stand at top level as well, for clients that know no more."""
    asked = standing.asked
    confirm: QuestionShown = {
        "kind": asked["kind"],
        "message": asked["message"],
        "severity": asked["severity"],
        "choices": asked["choices"],
        "feedback": asked["feedback"],
        "created_at": moment(standing.created),
        "expires_at": moment(standing.deadline),
        "server_time": moment(standing.now),
        "on_timeout": asked["on_timeout"],
    }
    if "schema" in asked:
        confirm["schema"] = asked["schema"]
    result = asked["step_result"]
    return {
        "type": "task_step_result",
        "callback_id": standing.callback_id,
        "task_id": asked["task_id"],
        "step": asked["step"],
        "step_result": result,
        "result": result["result"],
        "completed": result["completed"],
        "message": result["message"],
        "status": result["status"],
        "error_code": result["error_code"],
        "error_message": result["error_message"],
        "confirm": confirm,
    }


def closed_message(standing: Standing) -> QuestionClosed:
    """The push that closes every open dialog of a question that is over."""
    closed: QuestionClosed = {
        "type": "confirm_closed",
        "callback_id": standing.callback_id,
        "status": standing.ending,
        "by": standing.response.get("by"),
        "at": moment(standing.at),
    }
    if standing.response.get("on_behalf"):
        closed["on_behalf"] = True
    return closed


_TOLD_THE_ANSWER: Final = ("accepted", "duplicate", "already_answered")
"""Of whoever has the secret and is among the responders; others learn nothing, not even that there is an answer."""


def ack_message(callback_id: str, status: str, standing: Standing | None, faults: Sequence[Fault]) -> ConfirmAck:
    """What whoever answered is told; of an answer that counts, which it is, and who gave it."""
    ack: ConfirmAck = {"type": "confirm_ack", "callback_id": callback_id, "status": status}
    if standing is not None and standing.state == "answered" and status in _TOLD_THE_ANSWER:
        said = standing.response
        ack["answer"] = {
            "proceed": said["proceed"],
            "choice": said["choice"],
            "by": said["by"],
            "at": moment(standing.at),
        }
    if faults:
        ack["errors"] = list(faults)
    return ack


def confirmation(standing: Standing, on_timeout: OnTimeout) -> UserConfirmation:
    """
    The outcome of a question that is over, as whoever asked gets it.

    :raises Unanswered: nobody answered in time, and *on_timeout* says to raise then.
    """
    if standing.state == "answered":
        said = standing.response
        return UserConfirmation(
            **{name: said[name] for name in ("proceed", "feedback", "choice", "content", "source")},
            responded_by=said["by"],
            responded_at=_time(standing.at),
            on_behalf=bool(said.get("on_behalf")),
            callback_id=standing.callback_id,
        )
    if standing.state == "timed_out" and on_timeout == "raise":
        raise Unanswered("nobody answered in time", callback_id=standing.callback_id)
    proceed = standing.state == "timed_out" and on_timeout == "proceed"
    return UserConfirmation(proceed=proceed, status=standing.state, source="policy", callback_id=standing.callback_id)


def asked(standing: Standing) -> Asked:
    """The question, as whoever asked and does not wait gets it."""
    return Asked(callback_id=standing.callback_id, status=standing.state, expires_at=_time(standing.deadline))


def moment(milliseconds: int) -> str:
    """Unix milliseconds, as messages carry times."""
    return rfc3339(_time(milliseconds))


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
