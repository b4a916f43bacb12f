"""
What is to be said and done about a question, step by step, whoever does it: a backend, blocking or not, or a replica.

A talk is a generator: it yields a `Step`, is sent the `Heard` of it (or thrown `Unavailable`), and returns its result.
Every step may be done twice. Whoever dies in the middle of a talk is stood in for by a replica, which finds what is
still to do in `tending`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from fairlead.errors import Conflict, RateLimited, Unavailable
from fairlead.format.codec import to_json
from fairlead.format.envelope import Envelope
from fairlead.format.messages import push
from fairlead.names import Names
from fairlead.publishing.replies import told as telling
from fairlead.publishing.sent import Fate
from fairlead.questions import asks, audit
from fairlead.questions.asks import Result, Standing
from fairlead.questions.question import Question
from fairlead.questions.response import Responder, Response
from fairlead.questions.shown import closed_message, question_message
from fairlead.redis.atlas import SomeCommand
from fairlead.redis.calls import Call
from fairlead.streams.events import written

T = TypeVar("T")

LATE_AUDITED: Final = 10
"""Late answers to one question that are written down: nobody shall fill the trail by clicking."""


class Happening(NamedTuple):
    """Something that applications and backends hear of (MSG-6)."""

    name: str
    facts: dict[str, Any]
    id: str
    """The same, should it be told twice."""


class Step(NamedTuple):
    """What to do now, all of it at once and in no order."""

    calls: Sequence[Call] = ()
    commands: Sequence[SomeCommand] = ()
    says: Sequence[tuple[str, Envelope]] = ()
    """Messages, each with its channel."""
    happened: Sequence[Happening] = ()


class Heard(NamedTuple):
    """What Redis answered to the calls of a step, and what became of each message."""

    replies: Sequence[Any] = ()
    fates: Sequence[Fate] = ()

    @property
    def offsets(self) -> list[int]:
        return [fate.offset for fate in self.fates]


Talk: TypeAlias = Generator[Step, Heard, T]


def opening(names: Names, question: Question, reply: str, sender: str) -> Talk[Standing]:
    """
    Ask; or find out how it stands with what was asked before under the same key.

    :param reply: the stream on which whoever waits is told that there is an outcome.
    :raises RateLimited: somebody who is asked has too many questions to answer already.
    :raises Conflict: other people were asked under the same key.
    """
    record = asks.record(names, question.id)
    lists = [*question.responders, *([f"task:{question.task_id}"] if question.task_id else [])]
    listing = [asks.enlist(names, channel, question.id, question.timeout_ms) for channel in lists]
    while True:
        heard = yield Step([asks.ask(record, question, reply), *listing])
        standing = asks.standing(question.id, heard.replies[0])
        if standing.state not in asks.ASKED_ANEW:
            break
        # Of before: its end has yet to be told, then it is asked anew.
        yield from announcing(names, standing)
    if others := set(question.responders) - set(standing.to):
        yield Step(commands=[_unlist(names, channel, standing.id) for channel in others])
        raise Conflict("other people were asked under this idempotency_key; ask them, or under another key")
    if standing.state != "pending":
        yield Step(commands=_unlisted(names, standing))
        return standing
    if question.task_id and heard.replies[-1] == asks.CANCELLED:
        _, found = yield from closing(names, question.id, standing.secret)
        return standing if found is None else found._replace(asked=standing.asked)
    if standing.said:
        return standing
    full = [channel for channel, listed in zip(lists, heard.replies[1:], strict=True) if not listed]
    if full:
        heard = yield Step([asks.progress(record, standing, "withdrawn")])
        if not asks.progressed(heard.replies[0]).written:
            # Somebody has seen it all the same.
            return standing
        yield Step(commands=_unlisted(names, standing))
        raise RateLimited(f"{full[0]} has too many open questions", limit=asks.limit_of(full[0]))
    try:
        receivers = yield from _showing(names, standing, sender)
    except Unavailable:
        # Asked it is, though Redis is away now: a replica sees to the rest.
        return standing
    if question.require_online and not receivers:
        _, found = yield from answering(names, question.id, asks.give_up(record, standing.secret))
        return standing if found is None else found._replace(asked=standing.asked)
    return standing


def answering(names: Names, id: str, call: Call) -> Talk[tuple[Result, Standing | None]]:
    """Make *call*, which ends the question *id* or tries to, and let everybody know if it has."""
    heard = yield Step([call])
    result, standing = asks.settled(id, heard.replies[0])
    if standing is not None and standing.is_news:
        yield from announcing(names, standing)
    return result, standing


def closing(names: Names, id: str, secret: str = "") -> Talk[tuple[Result, Standing | None]]:
    """Cancel the question *id*."""
    return answering(names, id, asks.cancel(asks.record(names, id), secret))


def announcing(names: Names, standing: Standing) -> Talk[Standing]:
    """Tell that a question is over: who waits for it, everybody who could have answered, and the audit trail."""
    record = asks.record(names, standing.id)
    if not standing.asked:
        heard = yield Step([asks.look(record, wholly=True)])
        _, found = asks.settled(standing.id, heard.replies[0])
        if found is None or not found.is_news or found.secret != standing.secret:
            return standing
        standing = found
    closed = closed_message(standing)
    waiting = [command for waiter in standing.waiters for command in telling(waiter, record.key)]
    heard = yield Step(
        commands=[*waiting, *_unlisted(names, standing), audited(names, standing, standing.state)],
        says=[(to, push(closed, to, message_id=f"closed:{standing.round}")) for to in standing.to],
        happened=[_happened(standing, standing.ending)],
    )
    told = heard.offsets
    heard = yield Step([asks.progress(record, standing, "told", offsets=told)])
    yield from _closing_again(names, standing, asks.progressed(heard.replies[0]).said, told)
    return standing


def tending(names: Names, id: str) -> Talk[Standing | None]:
    """
    Do whatever is to be done about the question *id* now: show it, ask more people, let it time out, tell its end.

    :returns: the question, if it is over by this; None if it goes on, or had been dealt with.
    """
    record = asks.record(names, id)
    heard = yield Step([asks.look(record, wholly=True)])
    _, standing = asks.settled(id, heard.replies[0])
    if standing is None or not standing.asked:
        # Forgotten, or damaged past what anybody could be shown.
        yield Step(commands=[("ZREM", record.due, id)])
    elif standing.is_news:
        return (yield from announcing(names, standing))
    elif standing.state == "pending":
        if (more := _due_now(standing)) is not None:
            heard = yield Step([asks.progress(record, standing, "widened", more=more, due=standing.now)])
            if not asks.progressed(heard.replies[0]).written:
                # It is over, or somebody else does it.
                return None
            yield Step(commands=[audited(names, standing, "escalated", to=" ".join(more))])
            standing = standing._replace(to=(*standing.to, *more), widened=standing.widened + 1, said=False)
        if not standing.said:
            heard = yield Step([_enlisted(names, channel, standing) for channel in _lists(standing)])
            if asks.CANCELLED in heard.replies:
                _, found = yield from closing(names, id, standing.secret)
                return found
        yield from _showing(names, standing, "system")
    return None


def due_at(standing: Standing) -> int:
    """When something is to be done about a question that goes on: more people are asked, or it times out (Unix ms)."""
    steps = standing.asked["escalate"][standing.widened :]
    return int(min([standing.deadline, *(standing.created + step["after_ms"] for step in steps)]))


def audited(names: Names, standing: Standing, what: str, **more: str) -> SomeCommand:
    """Write down what happened to a question; the digest says what exactly was approved."""
    asked = standing.asked
    facts = {
        "question": standing.id,
        "task_id": asked["task_id"] or "",
        "step": str(asked["step"] if asked["step"] is not None else ""),
        "to": " ".join(standing.to),
        "by": str(standing.response.get("by", "")),
        "source": str(standing.response.get("source", "")),
        "decision": to_json(standing.response).decode() if standing.response else "",
        "on_timeout": asked["on_timeout"],
        "payload_sha256": sha256(to_json(asked)).hexdigest(),
        **more,
    }
    return audit.written(names, what, facts)


def told(names: Names, happening: Happening, sender: str) -> SomeCommand:
    """Write down for backends what has happened in one of them."""
    return written(names, happening.name, to_json(happening.facts), id=happening.id, replica=sender)


def late(names: Names, standing: Standing, by: Responder, response: Response) -> list[SomeCommand]:
    """Write down that somebody answered what was over, unless that was done often enough."""
    if standing.late > LATE_AUDITED:
        return []
    decision = to_json(response._asdict()).decode()
    return [audited(names, standing, "late_answer", by=by.user_id, source=by.source, decision=decision)]


def _showing(names: Names, standing: Standing, sender: str) -> Talk[int]:
    """Show the question to everybody who may answer, and see to what comes next; how many replicas have somebody."""
    record = asks.record(names, standing.id)
    if standing.said:
        yield Step([asks.progress(record, standing, "said", due=due_at(standing))])
        return 0
    message = question_message(standing)
    heard = yield Step(
        commands=[] if standing.widened else [audited(names, standing, "requested")],
        says=[(to, push(message, to, sender=sender, message_id=f"ask:{standing.round}")) for to in standing.to],
        happened=[] if standing.widened else [_happened(standing, "asked")],
    )
    said, receivers = heard.offsets, sum(fate.receivers for fate in heard.fates)
    delivered = [audited(names, standing, "delivered", replicas=str(receivers))] if receivers else []
    heard = yield Step([asks.progress(record, standing, "said", due=due_at(standing), offsets=said)], delivered)
    yield from _closing_again(names, standing, said, asks.progressed(heard.replies[0]).told)
    return receivers


def _happened(standing: Standing, what: str) -> Happening:
    facts = {
        "question": standing.id,
        "task_id": standing.asked["task_id"],
        "step": standing.asked["step"],
        "to": list(standing.to),
        "by": standing.response.get("by"),
        "proceed": standing.response.get("proceed"),
    }
    if standing.at:
        facts["seconds"] = (standing.at - standing.created) / 1000
    return Happening(f"question_{what}", facts, f"{what}:{standing.round}")


def _closing_again(names: Names, standing: Standing, said: Sequence[int], told: Sequence[int]) -> Talk[None]:
    """
    Close what was shown after it was over, and so after that was told.

    Whoever writes down the second of both, that it was shown and that its end was told, sees it by the offsets.
    """
    late = [to for to, shown, closed in zip(standing.to, said, told, strict=False) if 0 < closed < shown]
    if not late:
        return
    heard = yield Step([asks.look(asks.record(names, standing.id))])
    _, found = asks.settled(standing.id, heard.replies[0])
    if found is None or found.secret != standing.secret:
        return
    message = closed_message(found)
    yield Step(
        commands=_unlisted(names, standing),
        says=[(to, push(message, to, message_id=f"closed:{standing.round}:again")) for to in late],
    )


def _due_now(standing: Standing) -> tuple[str, ...] | None:
    """Whom to ask as well now, if it is time for that."""
    steps = standing.asked["escalate"][standing.widened :]
    if steps and standing.now >= standing.created + steps[0]["after_ms"]:
        return tuple(to for to in steps[0]["to"] if to not in standing.to)
    return None


def _enlisted(names: Names, channel: str, standing: Standing) -> Call:
    left = max(1, standing.deadline - standing.now)
    return asks.enlist(names, channel, standing.id, left)


def _unlisted(names: Names, standing: Standing) -> list[SomeCommand]:
    """It is no longer among the open questions of anybody."""
    return [_unlist(names, channel, standing.id) for channel in _lists(standing)]


def _unlist(names: Names, channel: str, id: str) -> SomeCommand:
    return ("ZREM", names.asks(channel), id)


def _lists(standing: Standing) -> list[str]:
    """Channels among whose open questions it is: of those who may answer, and of its task."""
    task_id = standing.asked.get("task_id")
    return [*standing.to, *([f"task:{task_id}"] if task_id else [])]
