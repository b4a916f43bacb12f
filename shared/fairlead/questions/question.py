"""A question to people: what is asked of whom and until when, checked before anybody sees it (ASK-1 to ASK-4)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypedDict, Unpack, cast

from pydantic import BaseModel, ValidationError

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import bounded, from_json, to_json
from fairlead.names import KINDS, channel, checked_id
from fairlead.questions.confirmation import Choice, Escalation, Feedback, OnTimeout, Severity, TaskStepResult
from fairlead.questions.fields import checked_schema

MIN_SECONDS: Final = 1.0
MAX_SECONDS: Final = 24 * 3600.0

MAX_BYTES: Final = 64 * 1024
"""Of a question with everything that is shown to whoever answers."""

MAX_RESPONDERS: Final = 50
MAX_CHOICES: Final = 50
MAX_ESCALATIONS: Final = 10
MAX_KEY: Final = 512

PROCEED_OR_STOP: Final = (
    Choice(value="proceed", label="Proceed", proceed=True),
    Choice(value="stop", label="Stop", proceed=False),
)

_SEVERITIES: Final = ("info", "warning", "danger")
_FEEDBACKS: Final = ("none", "optional", "required", "required_on_stop")
_ON_TIMEOUTS: Final = ("proceed", "stop", "raise")


class Policy(NamedTuple):
    """What holds for questions that do not say otherwise."""

    timeout_seconds: float = 300.0
    on_timeout: OnTimeout = "proceed"
    danger_proceeds: bool = False
    """Whether a dangerous question that nobody answered may be taken for a yes."""


DEFAULT_POLICY: Final = Policy()


class Wording(TypedDict, total=False):
    """What every question may be told; see `Backend.ask` for what each is when it is not."""

    timeout: float | None
    """Seconds to wait for an answer, 1 to 86,400; None for what the connection was opened with (300)."""

    on_timeout: OnTimeout | None
    """What it comes to without an answer; None for what the connection was opened with (``proceed``)."""

    severity: Severity
    choices: Sequence[Choice | Mapping[str, Any]] | None
    """What to choose from; None for Proceed and Stop."""

    schema: type[BaseModel] | Mapping[str, Any] | None
    """A form to fill in: a flat JSON schema, or a pydantic model that has one. Never ask for secrets this way."""

    feedback: Feedback
    escalate: Sequence[Escalation | tuple[float, Sequence[str]]]
    """Who else is asked when nobody has answered."""

    idempotency_key: str | None
    """Asked again under the same key, by whatever process, it is the same question, and has the same answer."""

    require_online: bool
    """Whether to give up at once, as ``undeliverable``, when nobody who may answer is connected."""


class Question(NamedTuple):
    """What is asked; finished, apart from its times."""

    id: str
    """Where it is kept; public."""

    secret: str
    """With it an answer proves that its sender was shown the question."""

    responders: tuple[str, ...]
    """Channels of those who may answer."""

    timeout_ms: int
    on_timeout: OnTimeout
    asked: dict[str, Any]
    """What is shown, and what an answer is checked against."""

    require_online: bool = False

    @property
    def callback_id(self) -> str:
        """What an answer names: who knows it may answer, if it is among the responders."""
        return f"{self.id}.{self.secret}"

    @property
    def task_id(self) -> str | None:
        return cast("str | None", self.asked["task_id"])


def step_question(
    step_result: TaskStepResult | Mapping[str, Any],
    user_id: str,
    task_id: str | int,
    step: str | int,
    policy: Policy,
    *,
    responders: Sequence[str] | None = None,
    message: str | None = None,
    **wording: Unpack[Wording],
) -> Question:
    """
    Whether to go on after a step of a task.

    The same step with the same result, asked again of the same people, is the same question: a job that begins anew
    finds its answer instead of asking twice. Say an ``idempotency_key`` to have it otherwise.
    """
    result = _step_result(step_result)
    task = checked_id(str(task_id), "task_id")
    people = [user_id] if responders is None else responders
    text = result.message if message is None else message
    return _question(people, text, policy, task, step, result, step_key=True, **wording)


def free_question(
    to: str | Sequence[str],
    message: str,
    policy: Policy,
    *,
    task_id: str | int | None = None,
    **wording: Unpack[Wording],
) -> Question:
    """Anything else to ask of *to*: user ids, or ``role:<role>``."""
    task = None if task_id is None else checked_id(str(task_id), "task_id")
    result = TaskStepResult(step="", message=_text("message", message), status="question")
    return _question([to] if isinstance(to, str) else to, message, policy, task, None, result, **wording)


def split(callback_id: object) -> tuple[str, str]:
    """Id and secret; both empty for what is no callback id."""
    id_, _, secret = callback_id.partition(".") if isinstance(callback_id, str) else ("", "", "")
    return (id_, secret) if len(id_) == 32 and id_.isascii() and id_.isalnum() and secret else ("", "")


def responder_channels(responders: Iterable[str]) -> tuple[str, ...]:
    """``42`` as ``user:42``, ``role:ops`` as it is; each once, in their order."""
    if isinstance(responders, str) or not isinstance(responders, Iterable):
        raise InvalidMessage("responders are a list of user ids and role:<role>")
    found = dict.fromkeys(_responder(one) for one in responders)
    if not 0 < len(found) <= MAX_RESPONDERS:
        raise InvalidMessage(f"a question has 1-{MAX_RESPONDERS} responders")
    return tuple(found)


def _question(
    people: Sequence[str],
    message: str,
    policy: Policy,
    task_id: str | None,
    step: str | int | None,
    result: TaskStepResult,
    *,
    step_key: bool = False,
    timeout: float | None = None,
    on_timeout: OnTimeout | None = None,
    severity: Severity = "info",
    choices: Sequence[Choice | Mapping[str, Any]] | None = None,
    schema: type[BaseModel] | Mapping[str, Any] | None = None,
    feedback: Feedback = "optional",
    escalate: Sequence[Escalation | tuple[float, Sequence[str]]] = (),
    idempotency_key: str | None = None,
    require_online: bool = False,
) -> Question:
    seconds = _seconds(policy.timeout_seconds if timeout is None else timeout)
    responders = responder_channels(people)
    _one_of("severity", severity, _SEVERITIES)
    _one_of("feedback", feedback, _FEEDBACKS)
    asked: dict[str, Any] = {
        "task_id": task_id,
        "step": step,
        "step_result": _dumped(result),
        "kind": "form" if schema is not None else "confirmation" if choices is None else "choice",
        "message": _text("message", message),
        "severity": severity,
        "choices": [choice.model_dump() for choice in _choices(choices)],
        "feedback": feedback,
        "on_timeout": _on_timeout(on_timeout, severity, policy),
        "escalate": _escalations(escalate, seconds),
    }
    if schema is not None:
        asked["schema"] = checked_schema(schema)
    body = bounded(to_json(asked), MAX_BYTES)
    return Question(
        id=_id(idempotency_key, step_key, responders, body),
        secret=secrets.token_urlsafe(16),
        responders=responders,
        timeout_ms=round(seconds * 1000),
        on_timeout=asked["on_timeout"],
        asked=asked,
        require_online=require_online,
    )


def _id(key: str | None, step_key: bool, responders: tuple[str, ...], body: bytes) -> str:
    """Of the key, so that asking again finds it; without one, of what a step shows: what is approved is this alone."""
    if key is not None:
        if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY:
            raise InvalidMessage(f"idempotency_key is a string of 1-{MAX_KEY} characters")
        return sha256(b"key " + to_json(key)).hexdigest()[:32]
    if step_key:
        # Whatever order a mapping was built in, it says the same.
        shown = json.dumps(from_json(body), sort_keys=True)
        return sha256(f"step {' '.join(responders)} {shown}".encode()).hexdigest()[:32]
    return secrets.token_hex(16)


def _responder(one: object) -> str:
    kind, colon, name = one.partition(":") if isinstance(one, str) else ("", "", "")
    if kind in ("role", "user") and colon:
        return channel(kind, name)
    if colon and kind.lower() in KINDS:
        raise InvalidMessage(f"{kind[:32]}: cannot be asked; say a user id, user:<id> or role:<role>")
    return f"user:{checked_id(one, 'a responder')}"


def _step_result(given: TaskStepResult | Mapping[str, Any]) -> TaskStepResult:
    if isinstance(given, TaskStepResult):
        return given
    try:
        return TaskStepResult.model_validate(given)
    except ValidationError as error:
        raise InvalidMessage(f"step_result: {_first(error)}") from None


def _dumped(result: TaskStepResult) -> dict[str, Any]:
    try:
        return result.model_dump(mode="json")
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidJson(f"this step_result cannot be written as JSON: {str(error)[:200]}") from None


def _choices(given: Sequence[Choice | Mapping[str, Any]] | None) -> tuple[Choice, ...]:
    if given is None:
        return PROCEED_OR_STOP
    try:
        choices = tuple(one if isinstance(one, Choice) else Choice.model_validate(one) for one in given)
    except ValidationError as error:
        raise InvalidMessage(f"choices: {_first(error)}") from None
    except TypeError:
        raise InvalidMessage("choices are a list of value, label and whether to proceed") from None
    if not 0 < len(choices) <= MAX_CHOICES or len({choice.value for choice in choices}) < len(choices):
        raise InvalidMessage(f"choices are 1-{MAX_CHOICES}, each with a value of its own")
    return choices


def _escalations(given: Sequence[Escalation | tuple[float, Sequence[str]]], seconds: float) -> list[dict[str, Any]]:
    """By time, as ``{"after_ms", "to": channels}``."""
    try:
        steps = [one if isinstance(one, Escalation) else _escalation(*one) for one in given]
    except (ValidationError, TypeError):
        raise InvalidMessage("escalate is a list of (after_seconds, [responders])") from None
    if len(steps) > MAX_ESCALATIONS or any(step.after_seconds >= seconds for step in steps):
        raise InvalidMessage(f"escalate has at most {MAX_ESCALATIONS} steps, all of them before the deadline")
    steps.sort(key=lambda step: step.after_seconds)
    return [{"after_ms": round(step.after_seconds * 1000), "to": responder_channels(step.to)} for step in steps]


def _escalation(after_seconds: float, to: Sequence[str]) -> Escalation:
    if isinstance(to, str):
        raise TypeError("letters are no responders")
    return Escalation(after_seconds=after_seconds, to=tuple(to))


def _on_timeout(given: OnTimeout | None, severity: Severity, policy: Policy) -> OnTimeout:
    chosen = policy.on_timeout if given is None else given
    _one_of("on_timeout", chosen, _ON_TIMEOUTS)
    if severity == "danger" and chosen == "proceed" and not policy.danger_proceeds:
        if given is not None:
            raise InvalidMessage(
                "a danger question does not proceed by itself: on_timeout stop or raise, or allow it where you connect"
            )
        return "stop"
    return chosen


def _seconds(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and MIN_SECONDS <= value <= MAX_SECONDS:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    raise InvalidMessage(f"timeout is a number of seconds from {MIN_SECONDS:g} to {MAX_SECONDS:g}")


def _text(what: str, value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise InvalidMessage(f"{what} must be a string, and say something")


def _one_of(what: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InvalidMessage(f"{what} is one of {', '.join(allowed)}")


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part)[:64] for part in first['loc'])}: {first['msg']}"
