"""
What Redis keeps of a question, and the scripts that move it (ASK-3).

``pending -> answered | timed_out | cancelled``, moved only by scripts that compare before they set, on the clock of
Redis: there is one outcome, the same for whoever asks. What has yet to be told about it is written down with it, so
that whoever dies in between is stood in for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from fairlead.codec import from_json, to_json
from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.question import Question
from fairlead.redis.calls import Call
from fairlead.redis.scripts import load
from fairlead.response import Responder, Response

KEPT_MS: Final = 24 * 3600 * 1000
"""How long a question is remembered when it is over."""

MARGIN_SECONDS: Final = 0.01
"""How long after the deadline somebody who waits looks, so as not to come too early by its own clock."""

MAX_PENDING: Final = 50
"""Questions that one user or role may have to answer at once."""

MAX_OF_TASK: Final = 1000

_ASK: Final = load("ask")
_SETTLE: Final = load("settle")
_PROGRESS: Final = load("progress")
_ENLIST: Final = load("enlist")

State: TypeAlias = Literal["pending", "answered", "timed_out", "cancelled", "forgotten"]
"""``forgotten`` is what nobody knows any more, because Redis was emptied."""

Result: TypeAlias = Literal[
    "accepted", "pending", "duplicate", "already_answered", "expired", "cancelled", "unknown", "forbidden"
]
"""What became of an attempt to end a question."""


class Record(NamedTuple):
    """Where one question is kept."""

    id: str
    key: str
    due: str


class Standing(NamedTuple):
    """How it stands with a question; times are Unix milliseconds of Redis."""

    id: str
    state: State
    secret: str
    asked: dict[str, Any]
    """What is asked; empty for who did not want to be told."""
    to: tuple[str, ...]
    """Channels of those who may answer."""
    response: dict[str, Any]
    created: int
    deadline: int
    said: bool
    """Whether those who may answer have been shown it."""
    told: bool
    """Whether everybody has been told that it is over."""
    widened: int
    """How often more people were asked."""
    waiters: tuple[str, ...]
    """Where those who wait for the answer are told."""
    at: int
    """When it ended."""
    now: int

    @property
    def callback_id(self) -> str:
        return f"{self.id}.{self.secret}"

    @property
    def left_seconds(self) -> float:
        return max(0.0, (self.deadline - self.now) / 1000)

    @property
    def is_news(self) -> bool:
        """Whether it is over, and somebody has yet to tell everybody."""
        return self.state != "pending" and not self.told


def record(names: Names, id: str) -> Record:
    """Where the question *id* is kept."""
    return Record(id, names.ask(id), names.asks_due(id))


def ask(record: Record, question: Question, reply: str) -> Call:
    """Ask, or find what was asked before; who waits is told at the stream *reply*. `standing` reads the answer."""
    asked, to = to_json(question.asked), " ".join(question.responders)
    return _ASK, [record.key, record.due], (record.id, question.secret, reply, question.timeout_ms, KEPT_MS, asked, to)


def answer(record: Record, secret: str, by: Responder, response: Response) -> Call:
    """Answer in the name of *by*; `settled` reads what became of that."""
    said = to_json({**response._asdict(), "by": by.user_id, "source": by.source})
    return _SETTLE, [record.key, record.due], (record.id, secret, "answered", " ".join(by.channels), said, KEPT_MS, 0)


def cancel(record: Record, secret: str = "") -> Call:
    """Have it answered no more; `settled` reads what became of that."""
    return _SETTLE, [record.key, record.due], (record.id, secret, "cancelled", "", "", KEPT_MS, 0)


def look(record: Record, *, wholly: bool = False) -> Call:
    """
    Ask how it stands, which lets it time out when it is time; `settled` reads the answer.

    :param wholly: whether to be told what was asked.
    """
    return _SETTLE, [record.key, record.due], (record.id, "", "timed_out", "", "", KEPT_MS, int(wholly))


def enlist(names: Names, channel: str, id: str, left_ms: int) -> Call:
    """Write it down among the questions of a user, role or task; answers 0 when those are too many."""
    limit = MAX_OF_TASK if channel.startswith("task:") else MAX_PENDING
    return _ENLIST, [names.asks(channel)], (id, left_ms, limit)


def progress(
    record: Record,
    standing: Standing,
    what: Literal["said", "told", "widened"],
    *,
    more: Sequence[str] = (),
    due: int | None = None,
) -> Call:
    """Write down that it was shown, that its end was told, or that *more* are asked; *due* is the next time (ms)."""
    args = (record.id, standing.secret, what, standing.widened, " ".join(more), "" if due is None else due)
    return _PROGRESS, [record.key, record.due], args


def settled(id: str, reply: list[Any]) -> tuple[Result, Standing | None]:
    """What became of an attempt to end a question, and how it stands since; None for one that is not known."""
    result, *facts = reply
    return cast(Result, result.decode()), standing(id, facts) if facts[0] else None


def ended(before: Standing, reply: Any) -> Standing | None:
    """
    The question that somebody waits for, when it is over; None while it is not.

    One that was asked anew was over before that.
    """
    _, found = settled(before.id, reply)
    if found is None:
        return before._replace(state="forgotten")
    if found.secret != before.secret:
        return before._replace(state="timed_out")
    return None if found.state == "pending" else found._replace(asked=before.asked)


def known(found: Standing) -> Standing:
    """:raises Unavailable: Redis has lost the question, so that what has become of it cannot be known."""
    if found.state == "forgotten":
        raise Unavailable("redis has forgotten the question; ask again", callback_id=found.callback_id)
    return found


def standing(id: str, reply: list[Any]) -> Standing:
    """How it stands with a question, from what Redis says."""
    state, secret, asked, to, response, created, deadline, said, told, widened, waiters, at, now = reply
    return Standing(
        id=id,
        state=state.decode(),
        secret=secret.decode(),
        asked=_map(asked),
        to=tuple(to.decode().split()),
        response=_map(response),
        created=int(created),
        deadline=int(deadline),
        said=bool(said),
        told=bool(told),
        widened=int(widened or 0),
        waiters=tuple((waiters or b"").decode().split()),
        at=int(at or 0),
        now=int(now),
    )


def _map(text: bytes | None) -> dict[str, Any]:
    return cast("dict[str, Any]", from_json(text)) if text else {}
