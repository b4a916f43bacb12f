"""Inbound: what clients say, as replicas write it to the stream that backends read in groups (MSG-7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from fairlead.errors import InvalidMessage
from fairlead.format.codec import from_json
from fairlead.format.messages import push
from fairlead.names import checked_channel, checked_id
from fairlead.streams.answers import Asked, failure, success
from fairlead.streams.entries import moment, optional, text
from fairlead.tracing import current

if TYPE_CHECKING:
    from fairlead.format.envelope import Envelope
    from fairlead.pushes import MessageRefused, NewMessage
    from fairlead.streams.groups import Entry

KEPT: Final = 10_000
"""Entries that are kept, whether or not anybody has read them."""

MESSAGE: Final = "message"
"""The one action that is forwarded after it was done; all others wait for an answer."""


class Push(NamedTuple):
    """An answer that is a message of its own."""

    channel: str
    envelope: Envelope


class Reply(NamedTuple):
    """An answer to an action that a client waits for."""

    asked: Asked
    answer: bytes


Way: TypeAlias = Push | Reply | None
"""How to answer; not at all, where the client did not ask for it."""

Done = TypeVar("Done", covariant=True)
"""What acknowledging gives: None, or something to await."""

Outcome = TypeVar("Outcome", covariant=True)
"""What answering gives: a `fairlead.streams.answers.Outcome`, or something to await that gives one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound(Generic[Done, Outcome]):
    """Something that a client said, at least once."""

    action: str
    """``message``, or the name of an action that is forwarded."""
    type: str
    """The ``message_type`` of a message; of every other action its name."""
    content: Any
    frame: Mapping[str, Any]
    """All that the client sent."""
    user_id: str
    connection_id: str
    session_id: str
    """The session that the client speaks in, or empty."""
    role: str
    device_id: str
    replica: str
    at: datetime
    message_id: str
    """Of the message that was stored; of an action, unique to it. The same when it comes again."""
    channel: str
    """Where a message was said; of an action, the user's own channel."""
    deadline: datetime | None
    """When the client is told that nobody answers; None when it waits for nothing."""
    ref: str
    """The id that the client gave its action, or empty."""
    deliveries: int
    """How often it was given to a consumer of this group before."""
    traceparent: str
    """Of the span in which it was received, for `fairlead.tracing.continued`; empty where nobody traced it."""

    _reply_to: str = field(repr=False)
    """Where the replica that waits is told of an answer, or empty."""
    _group: str = field(repr=False)
    _sender: str = field(repr=False)
    _acknowledge: Callable[[], Done] = field(repr=False)
    _respond: Callable[[Way], Outcome] = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def ack(self) -> Done:
        """Acknowledge it now; otherwise that is done when the loop asks for the next one."""
        return self._acknowledge()

    def reply(self, result: Mapping[str, object]) -> Outcome:
        """
        Answer the client, wherever it is now.

        An action that was forwarded gets its one ``reply`` with the fields of *result*, on the socket that asked; if
        nobody waits there any more, the user gets it as a durable message with ``"late": true``. A message is answered
        by a ``new_message`` with the fields of *result* in its session, or to its sender; as often as you like.
        """
        if self.action != MESSAGE:
            return self._respond(Reply(self._asked, success(result)) if self._reply_to else None)
        if not isinstance(result, Mapping):
            raise InvalidMessage(f"a reply is a mapping, not {type(result).__name__}")
        channel = self.channel if self.channel.startswith("session:") else f"user:{self.user_id}"
        said: NewMessage = {"type": "new_message", "message_type": "text", "reply_to": self.message_id}
        return self._respond(self._push(channel, {**said, **result}))

    def error(self, code: str, message: str, **detail: object) -> Outcome:
        """Answer with an error; *code* is one of the protocol's, such as ``not_found``. To a message as well."""
        answer = failure(code, message, detail)
        if self.action != MESSAGE:
            return self._respond(Reply(self._asked, answer) if self._reply_to else None)
        # Without its ref: the action that stored the message has had its one reply.
        refused: MessageRefused = {
            "type": "error",
            "ref": None,
            "code": code,
            "message": message,
            "detail": detail,
            "message_id": self.message_id,
        }
        return self._respond(self._push(f"user:{self.user_id}", refused))

    def _push(self, channel: str, message: Mapping[str, object]) -> Push:
        """Under an id that is the same when all this is done again, in the same order."""
        id_ = f"{self._group}-{self.message_id}-{next(self._numbers)}"
        trace = current() or self.traceparent
        return Push(channel, push(message, channel, sender=self._sender, message_id=id_, trace=trace))

    @property
    def _asked(self) -> Asked:
        return Asked(self.message_id, self.user_id, self.connection_id, self.ref, self._reply_to)


def read(
    entry: Entry,
    group: str,
    sender: str,
    acknowledge: Callable[[], Done],
    respond: Callable[[Way], Outcome],
) -> Inbound[Done, Outcome]:
    """
    What *entry* tells a consumer of *group*, which answers in the name of *sender*.

    :raises FairleadError: it is not what replicas write; whoever can write to Redis may have written anything.
    """
    fields = entry.fields or {}
    frame = from_json(text(fields, b"frame"))
    if not isinstance(frame, dict):
        raise InvalidMessage("frame must be a JSON object")
    action = text(fields, b"action")
    user_id = checked_id(text(fields, b"user_id"), "user_id")
    kind = frame.get("message_type", "text") if action == MESSAGE else action
    return Inbound(
        action=action,
        type=kind if isinstance(kind, str) else "text",
        content=frame.get("content"),
        frame=frame,
        user_id=user_id,
        connection_id=checked_id(text(fields, b"connection_id"), "connection_id"),
        session_id=optional(fields, b"session_id"),
        role=optional(fields, b"role"),
        device_id=optional(fields, b"device_id"),
        replica=optional(fields, b"replica"),
        at=moment(fields, b"at"),
        message_id=text(fields, b"id"),
        channel=checked_channel(optional(fields, b"channel") or f"user:{user_id}"),
        deadline=moment(fields, b"deadline") if b"deadline" in fields else None,
        ref=optional(fields, b"ref"),
        deliveries=entry.deliveries,
        traceparent=optional(fields, b"traceparent"),
        _reply_to=optional(fields, b"reply"),
        _group=group,
        _sender=sender,
        _acknowledge=acknowledge,
        _respond=respond,
    )
