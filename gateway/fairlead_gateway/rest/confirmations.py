"""``confirmations``: questions to people, asked, awaited, answered and taken back over HTTP (ASK-1 to ASK-4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from fairlead.errors import Conflict, FairleadError, Forbidden, InvalidMessage, NotFound
from fairlead.names import is_id
from fairlead.questions.asks import Standing
from fairlead.questions.confirmation import Source
from fairlead.questions.response import Responder
from fairlead.questions.shown import ack_message
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.facts.questions import Answered
from fairlead_gateway.rest.asking import Asking, question_of
from fairlead_gateway.rest.route import Asked, Body, Id, Nothing, Page, Paged, Params, Rows, View, row
from fairlead_gateway.rest.shown import Confirmation, confirmation
from fairlead_gateway.rest.waiting import MAX_SECONDS, patiently
from fairlead_gateway.sessions import questions


class ById(Params):
    """One question."""

    id: Id
    """Its callback id; to look and to cancel, what stands before the dot is enough."""


class Waiting(ById):
    """One question, and how long to wait for its end."""

    wait: float = Field(0.0, ge=0, le=MAX_SECONDS)
    """Seconds; the answer comes as soon as it is over, or when the client is to ask again."""

    @property
    def patience(self) -> float:
        return self.wait


class Listed(Paged):
    """Questions that wait for an answer."""

    user_id: Id | None = None
    """Only those that this user was named for."""


class Answering(Body):
    """What somebody says to a question."""

    proceed: bool | None = None
    feedback: str | None = None
    choice: str | None = None
    content: dict[str, Any] | None = None
    """What was filled into the form."""
    source: Literal["rest", "dashboard"] = "rest"
    """Which way it comes."""


class Accepted(View):
    """That an answer counts."""

    callback_id: str
    status: Literal["accepted", "duplicate"]
    """``duplicate``: the same was answered before."""
    answer: dict[str, Any]


class Over(FairleadError):
    """The question was over before."""

    code: ClassVar[str] = "expired"


async def ask_confirmation(asked: Asked[Params, Asking]) -> Confirmation:
    """Ask people something, and do not wait; `GET confirmations/{id}` does."""
    api = asked.api
    standing = await api.replica.questions.open(question_of(asked))
    _audited(asked, "asked", standing.id)
    return confirmation(standing, asked.rank, asked.identity)


async def list_confirmations(asked: Asked[Listed, Nothing]) -> Page[Confirmation]:
    """List the questions that wait for an answer: to viewers those of the whole fleet, to users their own."""
    params, known = asked.params, asked.api.replica.questions
    cursor = ""
    if asked.rank < Rank.VIEWER:
        if params.user_id not in (None, asked.identity.user_id):
            raise Forbidden("you may list your own questions; leave user_id out")
        found = await known.open_of(_responder(asked).channels)
    elif params.user_id is not None:
        found = await known.open_of([f"user:{params.user_id}"])
    else:
        found, cursor = await known.pending(params.cursor, params.limit)
    return Page(items=[confirmation(one, asked.rank, asked.identity) for one in found], cursor=cursor)


async def get_confirmation(asked: Asked[Waiting, Nothing]) -> Confirmation:
    """
    Tell how it stands with a question, waiting for its end if that is wanted.

    Viewers may see every question, users those that they may answer. Whoever waits is answered early, with the question
    as it stands, when this replica is about to leave: then ask again.
    """
    known, params = asked.api.replica.questions, asked.params
    standing = await _seen(asked)
    if standing.state == "pending" and params.wait:
        standing = await patiently(asked, known.standing(params.id, params.wait)) or standing
    return confirmation(standing, asked.rank, asked.identity)


async def answer_confirmation(asked: Asked[ById, Answering]) -> Accepted:
    """
    Answer a question as one of those who were asked, or as an administrator in their place.

    The first answer counts: the same again is as good, another one is 409, and what comes when it is over 410. In whose
    name it was given is written down, and told to everybody who was asked.
    """
    api, id = asked.api, asked.params.id
    by = _responder(asked, asked.body.source)
    result = await _answered(asked, by)
    if result.status == "forbidden" and asked.rank >= Rank.ADMIN:
        result = await _answered(asked, by._replace(on_behalf=True))
    standing = result.standing
    if standing is not None and standing.is_news:
        api.replica.tasks.start(questions.announce(api.replica, standing), name="confirm_closed")
    status = "duplicate" if _is_repeated(asked, result) else result.status
    if status not in ("accepted", "duplicate"):
        raise _refusal(id, result)
    return Accepted(callback_id=id, status=status, answer=_told(id, status, standing))


async def cancel_confirmation(asked: Asked[ById, Nothing]) -> None:
    """Have a question answered no more, and its dialogs closed everywhere; doing it again is harmless."""
    result, standing = await asked.api.replica.questions.close(asked.params.id)
    if result == "accepted" and standing is not None:
        _audited(asked, "taken_back", standing.id)
    elif result != "cancelled":
        raise _refusal(asked.params.id, Answered(result, standing))


async def _seen(asked: Asked[Waiting, Nothing]) -> Standing:
    """:raises NotFound: there is none, or the caller may not know of it, which is told alike."""
    standing = await asked.api.replica.questions.standing(asked.params.id)
    if asked.rank < Rank.VIEWER and set(standing.to).isdisjoint(_responder(asked).channels):
        raise NotFound("there is no such question, or it was over more than a day ago")
    return standing


def _responder(asked: Asked[Any, Any], source: Source = "rest") -> Responder:
    """The caller as somebody who may have been asked."""
    identity = asked.identity
    return Responder(identity.user_id, identity.role if is_id(identity.role) else "", source)


async def _answered(asked: Asked[ById, Answering], by: Responder) -> Answered:
    body = asked.body
    return await asked.api.replica.questions.answer(
        asked.params.id, by, body.proceed, body.feedback, body.choice, body.content
    )


def _is_repeated(asked: Asked[ById, Answering], result: Answered) -> bool:
    """Whether it counts already, given by the same one in another way: on a socket, say."""
    standing, body = result.standing, asked.body
    if result.status != "already_answered" or standing is None:
        return False
    said = standing.response
    same = {"by": asked.identity.user_id, "proceed": body.proceed, "feedback": body.feedback, "content": body.content}
    return {name: said.get(name) for name in same} == same and body.choice in (None, said.get("choice"))


def _refusal(id: str, result: Answered) -> FairleadError:
    """Why an answer does not count, or a question cannot be taken back any more."""
    match result.status:
        case "invalid":
            faults: Sequence[Mapping[str, str]] = result.faults
            said = "; ".join(f"{one['field']}: {one['message']}" for one in faults)
            return InvalidMessage(f"not what was asked for: {said}"[:512], errors=list(faults))
        case "forbidden":
            return Forbidden("you are not among those who were asked")
        case "already_answered":
            return Conflict("it was answered already", **_answer_in(id, result))
        case "expired":
            return Over("nobody answered in time; it is over", status="timed_out")
        case "cancelled":
            return Over("it was taken back; nobody need answer any more", status="cancelled")
    return NotFound("there is no such question, or it was over more than a day ago")


def _answer_in(id: str, result: Answered) -> dict[str, Any]:
    return {"answer": _told(id, result.status, result.standing)} if result.standing is not None else {}


def _told(id: str, status: str, standing: Standing | None) -> dict[str, Any]:
    """What whoever answers is told of the answer that counts."""
    return dict(ack_message(id, status, standing, ()).get("answer", {}))


def _audited(asked: Asked[Any, Any], what: str, question: str) -> None:
    asked.api.replica.told.audited(what, by=asked.identity.user_id, source="rest", question=question)


ROWS: Final[Rows] = (
    row(
        "POST",
        "/confirmations",
        Rank.OPERATOR,
        ask_confirmation,
        body=Asking,
        answer=Confirmation,
        status=201,
        errors=("rate_limited", "conflict"),
    ),
    row(
        "GET",
        "/confirmations",
        Rank.USER,
        list_confirmations,
        params=Listed,
        answer=Page[Confirmation],
        errors=("forbidden",),
        is_public=True,
    ),
    row(
        "GET",
        "/confirmations/{id}",
        Rank.USER,
        get_confirmation,
        params=Waiting,
        answer=Confirmation,
        errors=("not_found",),
        is_public=True,
    ),
    row(
        "POST",
        "/confirmations/{id}/answer",
        Rank.USER,
        answer_confirmation,
        params=ById,
        body=Answering,
        answer=Accepted,
        errors=("forbidden", "not_found", "conflict", "expired"),
        is_public=True,
    ),
    row(
        "DELETE",
        "/confirmations/{id}",
        Rank.OPERATOR,
        cancel_confirmation,
        params=ById,
        errors=("not_found", "conflict", "expired"),
    ),
)
