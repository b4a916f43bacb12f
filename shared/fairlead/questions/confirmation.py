"""What people are asked about, and what they say to it: the models that callers of ``notify_user`` and ``ask`` see."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from fairlead.errors import FairleadError

OnTimeout: TypeAlias = Literal["proceed", "stop", "raise"]
"""What a question comes to that nobody has answered in time."""

Severity: TypeAlias = Literal["info", "warning", "danger"]

Feedback: TypeAlias = Literal["none", "optional", "required", "required_on_stop"]
"""Whether whoever answers may, or must, say something in words as well."""

Status: TypeAlias = Literal["answered", "timed_out", "cancelled", "undeliverable"]

Source: TypeAlias = Literal["ws", "rest", "dashboard", "link", "policy"]
"""Which way an answer came; ``policy`` is nobody's answer."""


class TaskStepResult(BaseModel):
    """What one step of a task has come to."""

    step: str
    result: Any = None
    completed: bool = False
    message: str = ""
    status: str = ""
    error_code: str | None = None
    error_message: str | None = None


class Choice(BaseModel):
    """One of the answers to choose from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: str = Field(min_length=1, max_length=128)
    label: str = Field(min_length=1, max_length=256)
    proceed: bool = True
    """Whether choosing it means to go on."""


class Escalation(BaseModel):
    """Who else is asked when nobody has answered; it adds people, and decides nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after_seconds: float = Field(gt=0)
    to: tuple[str, ...] = Field(min_length=1, max_length=50)
    """As the responders of a question: user ids, or ``role:<role>``."""


class UserConfirmation(BaseModel):
    """
    What became of a question: somebody's answer, or what was agreed for the case that there is none (ASK-1, ASK-2).

    Only where `by_human` is true has somebody answered.
    """

    model_config = ConfigDict(frozen=True)

    proceed: bool
    feedback: str | None = None
    status: Status = "answered"
    choice: str | None = None
    """Value of the chosen option."""
    content: dict[str, Any] | None = None
    """What was filled into the form, checked against its schema."""
    responded_by: str | None = None
    """User id; None unless somebody answered."""
    responded_at: datetime | None = None
    source: Source = "ws"
    on_behalf: bool = False
    """Whether an administrator answered in the place of those who were asked."""
    callback_id: str = ""

    @property
    def by_human(self) -> bool:
        """Whether somebody answered."""
        return self.status == "answered"


class Asked(BaseModel):
    """A question that has been asked, without waiting for its answer."""

    model_config = ConfigDict(frozen=True)

    callback_id: str
    status: Literal["pending"] | Status
    expires_at: datetime


class Unanswered(FairleadError):
    """Nobody answered in time, and the question was to raise then."""

    code: ClassVar[str] = "expired"
