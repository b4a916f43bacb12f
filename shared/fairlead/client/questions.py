"""Questions to this user: shown once, answered by what a handler returns, taken back when they are over (Q1 to Q4)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from inspect import isawaitable
from typing import Any, Final, NamedTuple, TypeAlias

from fairlead.client.conversation import Conversation
from fairlead.client.handlers import Off
from fairlead.client.requests import given
from fairlead.client.told import Frame
from fairlead.errors import FairleadError, error_of
from fairlead.questions.confirmation import Choice

MAX_OPEN: Final = 1_000
"""Questions that are kept in mind at once, and as many that are over, so that none is shown again."""

_COUNTS: Final = ("accepted", "duplicate")

_KINDS: Final = ("task_step_result", "confirm_closed")


class Closed(NamedTuple):
    """What became of a question."""

    status: str
    """``answered``, ``timed_out``, ``cancelled`` …; ``closed`` where no more is known than that it is over."""
    by: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says to a question; as much of it as was asked for."""

    proceed: bool | None = None
    feedback: str | None = None
    choice: str | None = None
    content: Mapping[str, Any] | None = None


@dataclass(slots=True, eq=False)
class Question:
    """Something this user is asked (ASK-1)."""

    callback_id: str
    task_id: str
    step: str | int | None
    kind: str
    """``confirmation``, ``choice`` or ``form``."""
    message: str
    severity: str
    choices: list[Choice]
    schema: dict[str, Any] | None
    """Flat JSON schema of a form."""
    feedback: str
    """``none``, ``optional``, ``required`` or ``required_on_stop``."""
    on_timeout: str
    """What happens when nobody answers."""
    expires_at: datetime
    frame: Frame
    """The message that it came in."""
    closed: Closed | None = None
    """What became of it; set before the handler is cancelled."""
    _now: Callable[[], datetime] = field(repr=False, kw_only=True)

    def remaining(self) -> float:
        """Seconds that are left, by the gateway's clock."""
        return max(0.0, (self.expires_at - self._now()).total_seconds())


Said: TypeAlias = bool | Answer | Mapping[str, Any] | None

QuestionHandler: TypeAlias = Callable[[Question], Said | Awaitable[Said]]
"""
Shows a question; what it returns is the answer, and None none.

A coroutine function is cancelled when the question is closed elsewhere, and then finds ``question.closed``.
"""


@dataclass(slots=True, eq=False)
class _Open:
    question: Question
    shown: set[asyncio.Task[None]] = field(default_factory=set)
    answering: asyncio.Task[Any] | None = None


class Questions:
    """A `fairlead.client.conversation.Mirror` of what is asked."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._handlers: dict[object, QuestionHandler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for kind in _KINDS:
            talk.mirrors[kind] = self

    def on(self, handler: QuestionHandler) -> Off:
        """Show questions to *handler*, those that are open already as well."""
        token = object()
        self._handlers[token] = handler
        for one in self._open.values():
            self._show(one, handler)
        return lambda: void(self._handlers.pop(token, None))

    async def close(self) -> None:
        """Show nothing any more; handlers are cancelled, but for the one that asks for this."""
        self._take_all_back()
        if others := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(others)

    # -- Mirror ------------------------------------------------------------------------------------

    @property
    def takes(self) -> bool:
        return bool(self._handlers)

    def heard(self, frame: Frame) -> bool:
        id = frame.get("callback_id")
        if not isinstance(id, str) or not id:
            return True
        if frame["type"] == "confirm_closed":
            self._close(id, Closed(*(str(frame.get(name) or "") for name in Closed._fields)))
            return True
        if id in self._open or id in self._over:
            return False
        try:
            question = question_in(frame, self._talk.link.now)
        except (ValueError, TypeError, AttributeError) as error:
            self._talk.failed(error)
            return True
        self._open[id] = one = _Open(question)
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        for handler in list(self._handlers.values()):
            self._show(one, handler)
        return True

    def opened(self) -> None:
        if self._open:
            self._talk.ask_quietly("list_confirms", {}, self._listed, repeatable=False)

    def recovered(self, recovery: object) -> None:
        """Questions come as messages."""

    def stopped(self, error: FairleadError) -> None:
        self._take_all_back()

    # -- one question ------------------------------------------------------------------------------

    def _listed(self, reply: Frame) -> None:
        """What is open now: the others were closed meanwhile (Q3)."""
        frames = reply.get("confirms") or []
        still = {frame.get("callback_id") for frame in frames}
        for id in [id for id in self._open if id not in still]:
            self._close(id, Closed("closed"))
        for frame in frames:
            self.heard(frame)

    def _take_all_back(self) -> None:
        for id in list(self._open):
            self._close(id, Closed("closed"))
        self._over.clear()

    def _close(self, id: str, closed: Closed) -> None:
        self._over[id] = None
        if len(self._over) > MAX_OPEN:
            self._over.popitem(last=False)
        one = self._open.pop(id, None)
        if one is None:
            return
        one.question.closed = closed
        for task in one.shown - {one.answering, asyncio.current_task()}:
            task.cancel(closed.status)

    def _show(self, one: _Open, handler: QuestionHandler) -> None:
        task = asyncio.create_task(self._ask(one, handler), name=f"fairlead client question {one.question.callback_id}")
        one.shown.add(task)
        self._tasks.add(task)
        task.add_done_callback(one.shown.discard)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, one: _Open, handler: QuestionHandler) -> None:
        try:
            said = handler(one.question)
            if isawaitable(said):
                said = await said
            if said is not None and one.question.closed is None and one.answering is None:
                await self._answer(one, _fields(said))
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Not we were cancelled, but something that the handler awaited.
            self._talk.failed(RuntimeError(f"a handler awaited what was cancelled: {error}"))
        except Exception as error:  # noqa: BLE001 - a fault of the application's function, whatever it is
            self._talk.failed(error)

    async def _answer(self, one: _Open, fields: Mapping[str, Any]) -> None:
        """Say it until the question ends, however long the connection is lost (Q4)."""
        id = one.question.callback_id
        seconds = max(one.question.remaining(), self._talk.options.reply_timeout)
        one.answering = asyncio.current_task()
        try:
            ack = await self._talk.request("confirm", {**fields, "callback_id": id}, seconds)
        finally:
            one.answering = None
        status, answer = str(ack.get("status", "")), ack.get("answer") or {}
        if status not in _COUNTS:
            detail = {"callback_id": id, **given(answer=ack.get("answer"), errors=ack.get("errors"))}
            self._talk.failed(error_of(status, "the answer to a question does not count", detail))
        if status != "invalid":
            self._close(id, Closed(status, str(answer.get("by") or ""), str(answer.get("at") or "")))


def question_in(frame: Frame, now: Callable[[], datetime]) -> Question:
    """The question in *frame*; ValueError, TypeError or AttributeError if there is none."""
    confirm: Mapping[str, Any] = frame.get("confirm") or {}
    return Question(
        callback_id=frame["callback_id"],
        task_id=str(frame.get("task_id") or ""),
        step=frame.get("step"),
        kind=str(confirm.get("kind", "confirmation")),
        message=str(confirm.get("message", frame.get("message", ""))),
        severity=str(confirm.get("severity", "info")),
        choices=[Choice.model_construct(**{"proceed": True, **choice}) for choice in confirm.get("choices") or ()],
        schema=confirm.get("schema"),
        feedback=str(confirm.get("feedback", "optional")),
        on_timeout=str(confirm.get("on_timeout", "")),
        expires_at=datetime.fromisoformat(str(confirm["expires_at"])) if "expires_at" in confirm else now(),
        frame=frame,
        _now=now,
    )


def void(_: object) -> None:
    """Nothing."""


def _fields(said: object) -> Mapping[str, Any]:
    if isinstance(said, bool):
        return {"proceed": said}
    if isinstance(said, Answer):
        return given(**asdict(said))
    if isinstance(said, Mapping):
        return said
    raise TypeError(f"an answer is a bool, an Answer, a mapping or None, not {type(said).__name__}")
