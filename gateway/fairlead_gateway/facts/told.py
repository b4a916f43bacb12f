"""What is written down: events, what clients say, how connections ended, who did what (MSG-6, MSG-7, CON-10)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, NamedTuple

import orjson
from pydantic_core import to_jsonable_python

from fairlead.errors import HandlerTimeout, Unavailable
from fairlead.format.messages import now, rfc3339
from fairlead.names import Names
from fairlead.publishing.replies import Replies, told
from fairlead.questions import audit
from fairlead.streams import answers, events, history
from fairlead.streams.answers import Asked, Collected
from fairlead.streams.inbound import MESSAGE
from fairlead.tracing import current
from fairlead_gateway.facts.lane import Argument, Lane
from fairlead_gateway.facts.streams import Streams

TRIM_EVERY: Final = 100
"""Of so many connections that end, one has the history trimmed by age rather than by number."""

SMOOTH: Final = 64
"""Over about so many entries the size of an entry is averaged."""

_PRIVATE: Final = frozenset({"content"})
"""Facts for this replica's own handlers: backends read messages from the inbound stream, where they are kept less."""


class Limits(NamedTuple):
    """How much is kept."""

    events: int
    inbound: int
    inbound_bytes: int
    connections: int
    connection_days: float


class Told:
    """Writes down what backends are told; nobody waits for it but a client whose action they answer."""

    def __init__(
        self, lane: Lane, names: Names, replies: Replies, streams: Streams, replica: str, limits: Limits
    ) -> None:
        self._lane = lane
        self._names = names
        self._replies = replies
        self._streams = streams
        self._replica = replica
        self._limits = limits
        self._numbers = count(1)
        self._ended = count(1)
        self._mean_bytes = 1024.0
        """Of what clients have said lately."""

    # -- what happens ------------------------------------------------------------------------------

    def event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Something happened here."""
        told = {key: value for key, value in facts.items() if key not in _PRIVATE}
        id_ = f"{self._replica}-{next(self._numbers)}"
        self._streams.write(
            *events.written(self._names, name, _json(told), id=id_, replica=self._replica, kept=self._limits.events)
        )

    def ended(self, connection_id: str, user_id: str, code: int, reason: str, **more: str | float) -> None:
        """
        A connection has ended (CON-10).

        :param more: ``connected_at``, ``replica``, ``address`` and ``device_id``, as far as they are known.
        """
        if not self._limits.connections:
            return
        facts: dict[str, Any] = {
            "connection_id": connection_id,
            "user_id": user_id,
            "connected_at": history.since_of(connection_id),
            "ended_at": round(time.time(), 3),
            "code": code,
            "reason": reason,
            "replica": self._replica,
            "address": "",
            "device_id": "",
        }
        self._streams.write(
            "XADD", self._names.connection_history, *self._trimming(), "*", "facts", orjson.dumps(facts | more)
        )

    def audited(self, what: str, **facts: str) -> None:
        """Somebody must answer for *what* has happened; ``by`` among the *facts* says who."""
        self._streams.write(*audit.written(self._names, what, {**facts, "replica": self._replica}))

    def _trimming(self) -> tuple[Argument, ...]:
        if next(self._ended) % TRIM_EVERY:
            return "MAXLEN", "~", self._limits.connections
        return "MINID", "~", int((time.time() - self._limits.connection_days * 86_400) * 1000)

    # -- what clients say --------------------------------------------------------------------------

    def message(self, message_id: str, channel: str, frame: Mapping[str, Any], **who: str) -> None:
        """A client said something, and it was stored."""
        self._streams.write(*self._inbound(MESSAGE, message_id, frame, {**who, "channel": channel}))

    async def unasked(self, action: str, ask_id: str, frame: Mapping[str, Any], **who: str) -> None:
        """
        A client wants something done, and no answer.

        :raises Unavailable: Redis cannot be reached; backends may have been told or not.
        """
        await self._lane.call(*self._inbound(action, ask_id, frame, who))

    async def ask(self, action: str, asked: Asked, frame: Mapping[str, Any], seconds: float, **who: str) -> Collected:
        """
        What a backend answers within *seconds*; an answer that comes later goes to the user.

        :raises HandlerTimeout: none does.
        :raises Unavailable: Redis cannot be reached; backends may have been told or not.
        """
        deadline = rfc3339(datetime.fromtimestamp(time.time() + seconds, UTC))
        about = {**who, "ref": asked.ref, "reply": self._replies.address, "deadline": deadline}
        collect = answers.collect(self._names, asked.user_id, asked.id, waits=True)
        key = asked.key(self._names)
        with self._replies.waiting(key, collect, answers.collected) as answer:
            await self._lane.call(*self._inbound(action, asked.id, frame, about))
            await asyncio.wait([answer], timeout=seconds)
            collected = answer.result() if answer.done() else await self._last_look(asked)
        if collected is None:
            raise HandlerTimeout(f"no answer within {seconds:g} s; ask again, or ask less")
        if collected.tell:
            for command in told(collected.tell, key):
                # Need not arrive: whoever answered looks by itself a moment later.
                self._lane.call(*command)
        return collected

    async def _last_look(self, asked: Asked) -> Collected | None:
        """The answer that has just come, or None: from now on it will be late."""
        try:
            reply = await self._lane.run(*answers.collect(self._names, asked.user_id, asked.id, waits=False))
        except Unavailable:
            return None
        return answers.collected(reply)

    def _inbound(self, action: str, id_: str, frame: Mapping[str, Any], about: Mapping[str, str]) -> Iterable[Argument]:
        fields = {"action": action, "id": id_, "replica": self._replica, "at": now(), "traceparent": current(), **about}
        flat = [part for field in fields.items() if field[1] for part in field]
        body = _json(frame)
        kept = ("MAXLEN", "~", self._inbound_kept(len(body)), "*")
        return "XADD", self._names.inbound, *kept, *flat, "frame", body

    def _inbound_kept(self, size: int) -> int:
        """How many entries may stay, now that one of *size* bytes comes: where they are long, fewer."""
        self._mean_bytes += (size - self._mean_bytes) / SMOOTH
        return min(self._limits.inbound, int(self._limits.inbound_bytes / max(self._mean_bytes, 1.0)))


def _json(value: object) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    """What JSON does not know; what went wrong is told by its name, since it may hold anything."""
    return type(value).__name__ if isinstance(value, BaseException) else to_jsonable_python(value, fallback=repr)
