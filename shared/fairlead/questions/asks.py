"""
What Redis keeps of a question, and the scripts that move it (ASK-3).

``pending -> answered | timed_out | cancelled``, moved only by scripts that compare before they set, on the clock of
Redis: there is one outcome, the same for whoever asks. What has yet to be told about it is written down with it, so
that whoever dies in between is stood in for.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from fairlead.errors import Unavailable
from fairlead.format.codec import from_json, to_json
from fairlead.names import Names
from fairlead.questions.question import Question
from fairlead.questions.response import Responder, Response
from fairlead.redis.calls import Call
from fairlead.redis.scripts import load

KEPT_MS: Final = 24 * 3600 * 1000
"""How long a question is remembered when it is over."""

MARGIN_SECONDS: Final = 0.01
"""How long after the deadline somebody who waits looks, so as not to come too early by its own clock."""

MAX_PENDING: Final = 50
"""Questions that one user or role may have to answer at once."""

CANCELLED: Final = -1
"""What `enlist` answers for a task that has been cancelled: nobody is asked for it any more."""

MAX_OF_TASK: Final = 1000

_ASK: Final = load("ask")
_SETTLE: Final = load("settle")
_PROGRESS: Final = load("progress")
_ENLIST: Final = load("enlist")

State: TypeAlias = Literal["pending", "answered", "timed_out", "cancelled", "undeliverable", "forgotten"]
"""``forgotten`` is what nobody knows any more, because Redis was emptied."""

Ending: TypeAlias = Literal["answered", "timed_out", "cancelled", "forgotten"]
"""How a question ends, as clients are told."""

ASKED_ANEW: Final = frozenset({"timed_out", "undeliverable"})
"""States that are no answer: who asks again under the same key asks anew."""

Result: TypeAlias = Literal[
    "accepted", "pending", "unchecked", "duplicate", "already_answered", "expired", "cancelled", "unknown", "forbidden"
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
    late: int
    """Answers that came when it was over."""
    before: tuple[str, ...]
    """Secret and state of the one that it was asked anew for; empty if it is the first."""
    now: int

    @property
    def callback_id(self) -> str:
        return f"{self.id}.{self.secret}"

    @property
    def round(self) -> str:
        """What tells this asking from others under the same key, to everybody: nobody can answer with it."""
        return f"{self.id}.{self.created}"

    @property
    def left_seconds(self) -> float:
        return max(0.0, (self.deadline - self.now) / 1000)

    @property
    def ending(self) -> Ending:
        """How it ended, as clients and the application are told."""
        return "cancelled" if self.state == "pending" or self.state == "undeliverable" else self.state

    @property
    def is_news(self) -> bool:
        """Whether it is over, and somebody has yet to tell everybody."""
        return self.state != "pending" and not self.told


class Progressed(NamedTuple):
    """Whether it was written, and what was known before."""

    written: bool
    said: tuple[int, ...]
    """Offsets of what was shown, in the order of the channels; empty while it was not."""
    told: tuple[int, ...]
    """Offsets of its end; likewise."""


def record(names: Names, id: str) -> Record:
    """Where the question *id* is kept."""
    return Record(id, names.ask(id), names.asks_due(id))


def ask(record: Record, question: Question, reply: str) -> Call:
    """Ask, or find what was asked before; who waits is told at the stream *reply*. `standing` reads the answer."""
    asked, to = to_json(question.asked), " ".join(question.responders)
    is_plain = int(question.asked["kind"] == "confirmation" and question.asked["feedback"] == "optional")
    args = (record.id, question.secret, reply, question.timeout_ms, KEPT_MS, asked, to, is_plain)
    return _ASK, [record.key, record.due], args


def answer(record: Record, secret: str, by: Responder, response: Response | None, *, checked: bool = True) -> Call:
    """
    Answer in the name of *by*; `settled` reads what became of that, and all that was asked.

    :param response: None to learn what was asked, if *by* may answer.
    :param checked: whether *response* is what was asked for; if that is not known, it counts for plain questions alone.
    """
    facts = {"by": by.user_id, "source": by.source} | ({"on_behalf": True} if by.on_behalf else {})
    said = b"" if response is None else to_json({**response._asdict(), **facts})
    named = "" if by.on_behalf else " ".join(by.channels)
    return _settle(record, "answered", secret, named, said, wholly=True, checked=checked)


def cancel(record: Record, secret: str = "") -> Call:
    """Have it answered no more; `settled` reads what became of that."""
    return _settle(record, "cancelled", secret)


def give_up(record: Record, secret: str) -> Call:
    """Have it answered no more, since it could be shown to nobody; `settled` reads what became of that."""
    return _settle(record, "undeliverable", secret)


def look(record: Record, *, wholly: bool = False) -> Call:
    """
    Ask how it stands, which lets it time out when it is time; `settled` reads the answer.

    :param wholly: whether to be told what was asked.
    """
    return _SETTLE, [record.key, record.due], (record.id, "", "timed_out", "", "", KEPT_MS, int(wholly), "", 0)


def _settle(
    record: Record,
    how: State,
    secret: str,
    names: str = "",
    said: bytes = b"",
    *,
    wholly: bool = False,
    checked: bool = True,
) -> Call:
    attempt = secrets.token_hex(8)
    args = (record.id, secret, how, names, said, KEPT_MS, int(wholly), attempt, int(not checked))
    return _SETTLE, [record.key, record.due], args


def enlist(names: Names, channel: str, id: str, left_ms: int) -> Call:
    """Write it down among the questions of a user, role or task; answers 0 when those are too many, or `CANCELLED`."""
    return _ENLIST, [names.asks(channel), names.state(channel)], (id, left_ms, limit_of(channel))


def limit_of(channel: str) -> int:
    """How many questions may be open at once that belong to a user, role or task."""
    return MAX_OF_TASK if channel.startswith("task:") else MAX_PENDING


def progress(
    record: Record,
    standing: Standing,
    what: Literal["said", "told", "widened", "withdrawn"],
    *,
    more: Sequence[str] = (),
    due: int | None = None,
    offsets: Sequence[int] = (),
) -> Call:
    """
    Write down that it was shown, that its end was told, or that *more* are asked; or take it back before it was shown.

    `progressed` reads the answer.

    :param due: when something is to be done next (Unix ms).
    :param offsets: of what was said or told, in the order of the channels.
    """
    places = " ".join(map(str, offsets)) or "0"
    args = (record.id, standing.secret, what, standing.widened, " ".join(more), "" if due is None else due, places)
    return _PROGRESS, [record.key, record.due], args


def progressed(reply: list[Any]) -> Progressed:
    """What became of writing down how far a question has come."""
    written, said, told = reply
    return Progressed(bool(written), _numbers(said), _numbers(told))


def settled(id: str, reply: list[Any]) -> tuple[Result, Standing | None]:
    """What became of an attempt to end a question, and how it stands since; None for one that is not known."""
    result, *facts = reply
    return cast(Result, result.decode()), standing(id, facts) if facts[0] else None


def ended(before: Standing, reply: Any) -> Standing | None:
    """
    The question that somebody waits for, when it is over; None while it is not.

    One that was asked anew meanwhile was over before that.
    """
    _, found = settled(before.id, reply)
    if found is None:
        return before._replace(state="forgotten")
    if found.secret != before.secret:
        is_next = found.before[:1] == (before.secret,)
        return before._replace(state=cast(State, found.before[1]) if is_next else "forgotten", told=True)
    return None if found.state == "pending" else found._replace(asked=before.asked)


def unknown_outcome(standing: Standing) -> Unavailable:
    """Redis has not said what became of a question since its deadline."""
    return Unavailable(
        "redis does not say what became of the question; answer_to(callback_id) will", callback_id=standing.callback_id
    )


def known(found: Standing) -> Standing:
    """:raises Unavailable: Redis has lost the question, so that what has become of it cannot be known."""
    if found.state == "forgotten":
        raise Unavailable("redis has forgotten the question; ask again", callback_id=found.callback_id)
    return found


def standing(id: str, reply: list[Any]) -> Standing:
    """How it stands with a question, from what Redis says."""
    state, secret, asked, to, response, created, deadline, said, told, widened, waiters, at, late, before, now = reply
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
        late=int(late or 0),
        before=tuple((before or b"").decode().split()),
        now=int(now),
    )


def _numbers(text: bytes) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _map(text: bytes | None) -> dict[str, Any]:
    return cast("dict[str, Any]", from_json(text)) if text else {}
