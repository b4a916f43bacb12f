"""MessageDispatcher: the same bytes to every member of a channel, without waiting for any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgpack
import orjson
import structlog

from fairlead.format.envelope import Envelope
from fairlead.format.messages import push
from fairlead.names import BROADCAST, id_of
from fairlead.names import channel as channel_name
from fairlead.publishing.sent import Sent
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.trail import Trail
from fairlead_gateway.pool import Connection, ConnectionPool, Format
from fairlead_gateway.pool.counted import Counted
from fairlead_gateway.wire.deflate import deflated_frame
from fairlead_gateway.wire.frames import BINARY, TEXT, binary_frame, text_frame

if TYPE_CHECKING:
    from fairlead.pushes import PatchPush

log = structlog.get_logger(__name__)

SLICE: Final = 256
"""Sockets written to before the loop may do something else, such as answering a ping."""

MAX_BACKLOG_BYTES: Final = 8 * 1024 * 1024
"""Bytes that may wait behind fan-outs under way before we stop reading from Redis."""


Publish = Callable[[str, Envelope], Awaitable[Sent]]
"""How a message reaches every replica."""


class Patch(Protocol):
    """How a patch reaches every replica: `fairlead.backend.sends.Sends.send_patch`."""

    async def __call__(
        self,
        instance_name: str,
        patch: Mapping[str, object],
        patch_id: str | int | None = None,
        base_version: int | None = None,
        *,
        unset: Iterable[str] = (),
    ) -> Sent: ...


class Variants(dict[int, bytes]):
    """The WebSocket frames of some messages, joined; one entry a format, made when the first socket needs it."""

    def __init__(self, channel: str, messages: Iterable[Outgoing]) -> None:
        self._channel = channel
        self._messages = tuple(messages)

    def __missing__(self, format: int) -> bytes:
        made = self[format] = b"".join([_finished(self._channel, message, format) for message in self._messages])
        return made


def frames_for(connection: Connection, channel: str, messages: Iterable[Outgoing]) -> bytes:
    """What *connection* is written of *messages*: those that it may have, and what stands in for the others."""
    return Variants(
        channel,
        [
            message
            if message.is_for(connection.id, connection.user_id)
            else message._replace(frame=message.stand_in(channel))
            for message in messages
        ],
    )[connection.format]


def finish(payload: bytes, format: int) -> bytes:
    """One JSON *payload* as the WebSocket frame that a client of *format* reads."""
    return FINISH[format](payload)


def _finished(channel: str, message: Outgoing, format: int) -> bytes:
    """
    As `finish`; nothing for what is not to be sent at all.

    What is no JSON, forged past every publisher, must not stop a channel, nor leave a hole in it.
    """
    try:
        return FINISH[format](message.frame) if message.frame else b""
    except (ValueError, TypeError, OverflowError) as error:
        facts = {"message_id": message.id, "channel": channel, "format": Format(format).name}
        log.warning("message left out", **facts, why=str(error)[:200], bytes=len(message.frame))
        stand_in = message.stand_in(channel)
        return FINISH[format](stand_in) if stand_in else b""


def _as_msgpack(payload: bytes) -> bytes:
    packed: bytes = msgpack.packb(orjson.loads(payload))
    return packed


FINISH: Final[tuple[Callable[[bytes], bytes], ...]] = (
    text_frame,
    lambda payload: binary_frame(_as_msgpack(payload)),
    lambda payload: deflated_frame(TEXT, payload),
    lambda payload: deflated_frame(BINARY, _as_msgpack(payload)),
)
"""How to finish a frame, by `Format`."""

assert len(FINISH) == len(Format)


class _Waiting(NamedTuple):
    """A message that waits for a fan-out under way, and who was the latest to join when it came."""

    message: Outgoing
    joins: int


class MessageDispatcher:
    """
    Writes to every member of a channel (RT-3), in the order of publishing.

    A large channel is served in slices between which the loop goes on; what is published to it meanwhile waits, is
    joined, and costs each socket one more write, however much it is. Who joins meanwhile is given what is published
    from then on: what it missed before, its position tells.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        hold: Callable[[], None] = lambda: None,
        release: Callable[[], None] = lambda: None,
        publish: Publish | None = None,
        patch: Patch | None = None,
        counted: Counted | None = None,
        trail: Trail | None = None,
    ) -> None:
        """
        :param hold: called when too much waits, to stop reading from Redis.
        :param release: called when reading may go on.
        :param publish: how `send_to_instance` and its like reach other replicas; without it they serve this pool.
        :param patch: how `send_patch` does, and changes the state that is kept; likewise.
        :param counted: where messages handed to sockets are counted.
        :param trail: told of every message, once, however many sockets it goes to.
        """
        self._pool = pool
        self._hold = hold
        self._release = release
        self._publish = publish
        self._patch = patch
        self._relayed = trail.relayed if trail is not None and trail.is_kept else None
        self._waiting: dict[str, list[_Waiting]] = {}
        self._backlog_bytes = 0
        self._counted = counted or Counted()

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait behind fan-outs under way."""
        return self._backlog_bytes

    # -- the source documents' names -------------------------------------------------------------

    async def send_to_instance(self, instance_name: str, message: Mapping[str, object]) -> bool:
        """Send to everybody in an instance; whether anybody may have heard it."""
        return await self._send(channel_name("instance", instance_name), message)

    async def send_patch(
        self,
        instance_name: str,
        patch: Mapping[str, object],
        patch_id: str | int | None = None,
        base_version: int | None = None,
        *,
        unset: Iterable[str] = (),
    ) -> bool:
        """
        Send changed fields, by dotted path, to everybody in an instance; otherwise as `send_to_instance`.

        :raises Conflict: the instance is at another version than *base_version*.
        """
        if self._patch is not None:
            sent = await self._patch(instance_name, patch, patch_id, base_version, unset=unset)
            return sent.receivers > 0 or sent.duplicate
        message: PatchPush = {"type": "patch", "instance": instance_name, "patch": dict(patch), "patch_id": patch_id}
        if base_version is not None:
            message["base_version"] = base_version
        if gone := list(unset):
            message["unset"] = gone
        return await self.send_to_instance(instance_name, message)

    async def broadcast(self, message: Mapping[str, object]) -> bool:
        """Send to everybody; otherwise as `send_to_instance`."""
        return await self._send(BROADCAST, message)

    async def _send(self, channel: str, message: Mapping[str, object]) -> bool:
        envelope = push(message, channel)
        if self._publish is not None:
            return (await self._publish(channel, envelope)).receivers > 0
        everywhere = [name for name, _ in self._pool.channels()]
        for name in everywhere if channel == BROADCAST else [channel]:
            self.deliver(name, [Outgoing(envelope.frame)])
        return True

    # -- the way out -------------------------------------------------------------------------------

    def deliver(self, channel: str, messages: Sequence[Outgoing]) -> None:
        """Hand *messages* to everybody who is in *channel* now."""
        if not messages:
            return
        members = self._pool.members(channel)
        if self._relayed is not None:
            self._relayed(channel, messages, len(members))
        waiting = self._waiting.get(channel)
        if waiting is not None:
            joins = self._pool.joins
            waiting.extend([_Waiting(message, joins) for message in messages])
            self._grow(sum(len(message.frame) for message in messages))
            return
        if len(members) == 1 == len(messages) and not messages[0].exclude:
            # Most channels are of one user with one device: no variants to keep for others.
            (connection,) = members
            self._counted.messages_sent += 1
            connection.write(_finished(channel, messages[0], connection.format))
        else:
            self._write(channel, list(members), messages)

    def _write(self, channel: str, recipients: list[Connection], messages: Sequence[Outgoing]) -> None:
        self._counted.messages_sent += len(recipients) * len(messages)
        variants = Variants(channel, messages)
        recipients = self._spare_excluded(channel, recipients, messages)
        if len(recipients) <= SLICE:
            for connection in recipients:
                connection.write(variants[connection.format])
        else:
            self._waiting[channel] = []
            self._slice(channel, recipients, variants, 0)

    def _slice(self, channel: str, recipients: list[Connection], variants: Variants, start: int) -> None:
        for connection in recipients[start : start + SLICE]:
            connection.write(variants[connection.format])
        start += SLICE
        loop = asyncio.get_running_loop()
        if start < len(recipients):
            loop.call_soon(self._slice, channel, recipients, variants, start)
            return
        waiting = self._waiting.pop(channel)
        if waiting:
            self._shrink(sum(len(message.frame) for message, _ in waiting))
            self._follow_up(channel, waiting)

    def _follow_up(self, channel: str, waiting: Sequence[_Waiting]) -> None:
        """Hand on what has waited, to each who was in *channel* when it came."""
        members = []
        for connection, joined in list(self._pool.members(channel).items()):
            if joined <= waiting[0].joins:
                members.append(connection)
            elif later := [message for message, joins in waiting if joined <= joins]:
                self._counted.messages_sent += len(later)
                connection.write(frames_for(connection, channel, later))
        self._write(channel, members, [message for message, _ in waiting])

    def _spare_excluded(
        self, channel: str, recipients: list[Connection], messages: Sequence[Outgoing]
    ) -> list[Connection]:
        """The recipients of all *messages*; whoever is excluded from some is given the rest here, without a hole."""
        excluded = {message.exclude for message in messages if message.exclude}
        if not excluded:
            return recipients
        ids = {id_of(name) for name in excluded}
        others = []
        for connection in recipients:
            if connection.id not in ids and connection.identity.user_id not in ids:
                others.append(connection)
                continue
            unheard = sum(not message.is_for(connection.id, connection.user_id) for message in messages)
            self._counted.messages_sent -= unheard
            if rest := frames_for(connection, channel, messages):
                connection.write(rest)
        return others

    def _grow(self, size: int) -> None:
        before, self._backlog_bytes = self._backlog_bytes, self._backlog_bytes + size
        if before <= MAX_BACKLOG_BYTES < self._backlog_bytes:
            self._hold()

    def _shrink(self, size: int) -> None:
        before, self._backlog_bytes = self._backlog_bytes, self._backlog_bytes - size
        if before > MAX_BACKLOG_BYTES >= self._backlog_bytes:
            self._release()
