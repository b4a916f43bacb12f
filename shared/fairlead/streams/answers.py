"""
Answers of backends to actions of clients: what Redis keeps of one, and how it reaches who asked (MSG-7).

``answered -> delivered``, when the replica that asked says it to the client; ``answered -> late``, when that replica
does not take it; ``expired -> late``, when it waits no more. Moved by scripts that compare before they set: so an
answer goes one way, to the socket that asked or, as a durable message, to the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from fairlead.codes import ERRORS
from fairlead.errors import FairleadError, InvalidMessage
from fairlead.format.codec import MAX_BYTES, bounded, from_json, to_json
from fairlead.format.envelope import Envelope
from fairlead.format.messages import push
from fairlead.ids import uuid7
from fairlead.names import Names
from fairlead.redis.calls import Call
from fairlead.redis.scripts import load

if TYPE_CHECKING:
    from fairlead.pushes import LateReply

KEPT_MS: Final = 3_600_000
"""How long it is known that an action was answered."""

TAKEN_SECONDS: Final = 2.5
"""How long the replica that asked may take to take an answer; then it goes to the user."""

SILENT_SECONDS: Final = 10.0
"""How long a replica that did not take an answer is hardly waited for any more: as long as its lease may last."""

GLANCE_SECONDS: Final = 0.02
"""How long it is waited for meanwhile; one that is well again takes an answer within that."""

_ANSWER: Final = load("answer")
_COLLECT: Final = load("collect")
_ANSWERED: Final = load("answered")

Outcome: TypeAlias = Literal["delivered", "late", "duplicate", "unasked"]
"""
What became of an answer: said on the socket that asked; sent to the user, since nobody waits there any more; dropped,
since there was one before; dropped, since the client did not ask for one.
"""


class Asked(NamedTuple):
    """An action that a replica waits to have answered."""

    id: str
    """Of the asking, unique."""
    user_id: str
    connection_id: str
    ref: str
    """The id that the client gave its action."""
    reply: str
    """The reply stream of the replica."""

    @property
    def channel(self) -> str:
        """Where an answer goes that is late."""
        return f"user:{self.user_id}"

    def key(self, names: Names) -> str:
        """The record."""
        return names.answer(self.user_id, self.id)


class Given(NamedTuple):
    """How it stands with an answer that was given."""

    state: str
    answer: bytes
    """The one that counts."""
    is_first: bool


class Collected(NamedTuple):
    """An answer, as the replica takes it."""

    answer: bytes
    tell: str


class Silent:
    """Replicas that have not taken an answer lately: those who died with a thousand actions cost one wait, not each."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def seconds(self, reply: str, now: float) -> float:
        """How long to wait for the replica with this reply stream."""
        return GLANCE_SECONDS if self._until.get(reply, now) > now else TAKEN_SECONDS

    def took_nothing(self, reply: str, now: float) -> None:
        self._until = {one: until for one, until in self._until.items() if until > now}
        self._until.setdefault(reply, now + SILENT_SECONDS)

    def took_something(self, reply: str) -> None:
        self._until.pop(reply, None)


class Refusal(FairleadError):
    """A backend answered with an error."""

    def __init__(self, code: str, message: str, detail: Mapping[str, Any]) -> None:
        super().__init__(message, **detail)
        self.code = code  # type: ignore[misc] # here it is the backend that says which


def success(result: Mapping[str, object]) -> bytes:
    """
    The answer *result*.

    :raises FairleadError: it cannot be carried.
    """
    if not isinstance(result, Mapping):
        raise InvalidMessage(f"a reply is a mapping, not {type(result).__name__}")
    return bounded(to_json({"ok": True, "result": dict(result)}), MAX_BYTES)


def failure(code: str, message: str, detail: Mapping[str, object]) -> bytes:
    """The answer that is an error frame; as `success`."""
    if code not in ERRORS:
        raise InvalidMessage(f"code is one of {', '.join(ERRORS)}")
    return bounded(to_json({"ok": False, "code": code, "message": message, "detail": dict(detail)}), MAX_BYTES)


def result_of(answer: bytes) -> dict[str, Any]:
    """
    What the client is told.

    :raises Refusal: the backend refused.
    :raises InvalidMessage: nobody of ours wrote this.
    """
    match from_json(answer):
        case {"ok": True, "result": dict(result)}:
            return result
        case {"ok": False, "code": str(code), "message": str(message), "detail": dict(detail)}:
            raise Refusal(code, message, detail)
    raise InvalidMessage("not an answer")


def late(asked: Asked, answer: bytes, sender: str) -> Envelope:
    """
    The durable message to the user, for whatever device waits for it still.

    Refs are a connection's own: who takes it for an answer looks at ``connection_id`` as well.
    """
    body = from_json(answer)
    assert isinstance(body, dict)
    result = body.pop("result", {})
    fixed: LateReply = {
        "type": "reply",
        "ref": asked.ref,
        "late": True,
        "connection_id": asked.connection_id,
        "ok": bool(body.pop("ok")),
    }
    return push({**result, **body, **fixed}, asked.channel, sender=sender, message_id=asked.id)


def answer(names: Names, asked: Asked, answer: bytes, tell: str) -> Call:
    """Write *answer* down, unless there is one; tried again, this very call does the same. See `given`."""
    return _ANSWER, [asked.key(names)], (answer, tell, KEPT_MS, uuid7())


def given(reply: list[Any]) -> Given:
    """What `answer` returned."""
    state, answer, is_first = reply
    return Given(state.decode(), answer, bool(is_first))


def ended(names: Names, asked: Asked, *, waits: bool) -> Call:
    """What became of an answer; one that is not waited for any longer is late."""
    return _ANSWERED, [asked.key(names)], (int(not waits),)


def outcome(reply: bytes) -> str | None:
    """What `ended` returned: delivered or late; None while it is open."""
    state = reply.decode()
    return None if state == "answered" else state or "late"


def collect(names: Names, user_id: str, ask_id: str, *, waits: bool) -> Call:
    """Take the answer; who does not wait any longer says so."""
    return _COLLECT, [names.answer(user_id, ask_id)], (int(not waits), KEPT_MS)


def collected(reply: list[bytes]) -> Collected | None:
    """What `collect` returned; None while there is no answer."""
    return Collected(reply[0], reply[1].decode()) if reply[0] else None
