"""What somebody says to a question, checked against what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fairlead.questions.confirmation import Source
from fairlead.questions.fields import faults

MAX_FEEDBACK_BYTES: Final = 8 * 1024

Fault = dict[str, str]
"""``field`` and ``message``."""


class Responder(NamedTuple):
    """Who answers, and which way."""

    user_id: str
    role: str = ""
    source: Source = "ws"
    connection_id: str = ""
    on_behalf: bool = False
    """Whether it is an administrator who need not be among the responders, and answers in their place."""

    @property
    def channels(self) -> tuple[str, ...]:
        """What it may be named as among the responders of a question."""
        user = f"user:{self.user_id}"
        return (user, f"role:{self.role}") if self.role else (user,)


class Response(NamedTuple):
    """An answer as it was meant: what it says, apart from who and when."""

    proceed: bool
    feedback: str | None = None
    choice: str | None = None
    content: dict[str, Any] | None = None


def plain_response(
    proceed: bool | None, feedback: str | None, choice: str | None, content: Mapping[str, Any] | None
) -> Response | None:
    """The response to a question of which nothing is known, should it be a plain one; None if it cannot be to such."""
    is_plain = proceed is not None and choice is None and content is None
    if not is_plain or len((feedback or "").encode()) > MAX_FEEDBACK_BYTES:
        return None
    return Response(bool(proceed), feedback)


def checked_response(
    asked: Mapping[str, Any],
    proceed: bool | None,
    feedback: str | None = None,
    choice: str | None = None,
    content: dict[str, Any] | None = None,
) -> tuple[Response | None, list[Fault]]:
    """
    The response, or everything that is wrong with it.

    A client that knows no choices says only whether to *proceed*; that is enough where one choice alone means it.
    """
    faults_: list[Fault] = []
    decided = _decided(asked, proceed, choice, faults_)
    said = _feedback(asked["feedback"], feedback, decided, faults_)
    filled = _content(asked.get("schema"), content, decided, faults_)
    if faults_ or decided is None:
        return None, faults_
    return Response(decided, said, _choice(asked, decided, choice), filled), []


def _decided(asked: Mapping[str, Any], proceed: bool | None, choice: str | None, faults_: list[Fault]) -> bool | None:
    """Whether it means to go on; a choice that is given decides."""
    if choice is None:
        meaning = [one for one in asked["choices"] if one["proceed"] is proceed]
        if proceed is None:
            faults_.append(_fault("proceed", "say whether to proceed: true or false"))
        elif len(meaning) != 1:
            faults_.append(_fault("choice", f"choose one of {_values(asked)}"))
        return proceed
    for one in asked["choices"]:
        if one["value"] == choice:
            if proceed is not None and proceed is not one["proceed"]:
                faults_.append(_fault("proceed", f"contradicts the choice {choice[:64]}"))
            return bool(one["proceed"])
    faults_.append(_fault("choice", f"choose one of {_values(asked)}"))
    return None


def _choice(asked: Mapping[str, Any], proceed: bool, choice: str | None) -> str | None:
    if choice is None and asked["kind"] != "confirmation":
        return str(next(one["value"] for one in asked["choices"] if one["proceed"] is proceed))
    return choice


def _feedback(wanted: str, feedback: str | None, proceed: bool | None, faults_: list[Fault]) -> str | None:
    if wanted == "none":
        return None
    if feedback is not None and len(feedback.encode()) > MAX_FEEDBACK_BYTES:
        faults_.append(_fault("feedback", f"at most {MAX_FEEDBACK_BYTES} bytes"))
    if not feedback and (wanted == "required" or (wanted == "required_on_stop" and proceed is False)):
        faults_.append(_fault("feedback", "say why"))
    return feedback


def _content(
    schema: Mapping[str, Any] | None, content: dict[str, Any] | None, proceed: bool | None, faults_: list[Fault]
) -> dict[str, Any] | None:
    """A form is filled in by whoever goes on; who stops need not."""
    if schema is None:
        if content is not None:
            faults_.append(_fault("content", "nothing was to be filled in"))
        return None
    if not proceed:
        return None
    found = faults(schema, content or {})
    faults_ += [_fault(f"content.{one['field']}" if one["field"] else "content", one["message"]) for one in found]
    return content


def _values(asked: Mapping[str, Any]) -> str:
    return ", ".join(one["value"] for one in asked["choices"])[:256]


def _fault(field: str, message: str) -> Fault:
    return {"field": field, "message": message}
