"""Our own replica as a target: started as anybody would, spoken to in the client protocol."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import jwt
import msgpack

from fairlead.format.envelope import Envelope, with_offset
from fairlead.ids import uuid7
from fairlead.names import Names, partition_of
from fairlead_gateway.bench import frames, stamps
from fairlead_gateway.bench.ground import Ground, Server, resp
from fairlead_gateway.bench.orders import Opening, Role, Step
from fairlead_gateway.bench.publisher import Sender, SocketSender
from fairlead_gateway.bench.stamps import OFFSET, InTurn, Numbered, Template
from fairlead_gateway.embedded import free_port

_SECRET: Final = "a secret that is known to everybody who reads this"
_TOPIC: Final = "topic:bench"
_TOKEN_SECONDS: Final = 3600
_EPOCH: Final = "bench"
_TOP_OFFSET: Final = 1_000_000
"""Large, so that all offsets of a run have the same number of digits."""

_LAST_KIND: Final = "last"
_LAST: Final = b'"type":"last"'
"""What the last message of a replay is known by."""

_ESTABLISHED: Final = Step(hear=b'"connection_established"')
_JOIN: Final = Step(
    say=json.dumps({"action": "subscribe", "channels": [_TOPIC], "id": "join"}).encode(), hear=b'"join"'
)

ENVIRONMENT: Final = {
    "FAIRLEAD_JWT_SECRET": _SECRET,
    "FAIRLEAD_MAX_CONNECTIONS": "100000",
    "FAIRLEAD_RATE_MESSAGES_PER_SECOND": "0",
    "FAIRLEAD_RATE_BYTES_PER_SECOND": "0",
    "FAIRLEAD_HEARTBEAT_INTERVAL_SECONDS": "300",
    "FAIRLEAD_HEARTBEAT_TIMEOUT_SECONDS": "600",
    "FAIRLEAD_LOG_LEVEL": "warning",
}
"""Limits that the load would run into are off; no ping is among the bytes that are counted unread."""


@dataclass(frozen=True)
class Replica:
    """`python -m fairlead_gateway serve`, one process."""

    name: str = "fairlead"
    names: Names = field(default_factory=Names)
    _terms: dict[int, str] = field(default_factory=dict)
    """Terms of the partitions that `say_before` has written to."""

    def start(self, ground: Ground) -> Server:
        port = free_port()
        environment = {**ENVIRONMENT, "FAIRLEAD_REDIS_URL": ground.store.url, "FAIRLEAD_PREFIX": self.names.prefix}
        child = ground.spawn([sys.executable, "-m", "fairlead_gateway", "serve", "--port", str(port)], environment)
        return ground.serving(child, port, "/readyz")

    # -- how one comes in --------------------------------------------------------------------------

    def listener(self, port: int, number: int, role: Role) -> Opening:
        return Opening(_request(port, number), (_ESTABLISHED, _JOIN), role)

    def user(self, port: int, number: int, role: Role) -> Opening:
        """A socket in no channel but its user's own."""
        return Opening(_request(port, number), (_ESTABLISHED,), role)

    def watcher(self, port: int, number: int, task_id: str, role: Role) -> Opening:
        """A socket that watches one task."""
        watch = Step(json.dumps({"action": "subscribe_task", "task_id": task_id, "id": "join"}).encode(), b'"join"')
        return Opening(_request(port, number), (_ESTABLISHED, watch), role)

    def returning(self, port: int, number: int, channel: str, missed: int, role: Role) -> Opening:
        """A socket that stands *missed* messages behind in *channel*, and is open when it has heard the last."""
        position = {"offset": _TOP_OFFSET - missed, "epoch": self._epoch(channel), "id": ""}
        frame = {"action": "connect", "recover": {channel: position}}
        steps = (Step(json.dumps(frame).encode(), b'"connection_established"'), Step(hear=_LAST))
        return Opening(_request(port, number, "/ws?wait=connect"), steps, role)

    # -- how messages reach it ---------------------------------------------------------------------

    def sender(self, ground: Ground, size: int) -> Sender:
        return _sender(ground, InTurn([self._template(_TOPIC, _envelope(size))]))

    def frame_bytes(self, size: int) -> int:
        return frames.server_frame_bytes(size)

    def user_sender(self, ground: Ground, size: int, users: int) -> Sender:
        """One ephemeral message to each user in turn."""
        return _sender(ground, InTurn([self._template(channel, _envelope(size)) for channel in _channels(users)]))

    def say_before(self, ground: Ground, users: int, missed: int, size: int, *, shared: bool) -> list[str]:
        """Write *missed* messages into the log of each user's channel, or all into one; the channel of each user."""
        channels = ["instance:bench"] * users if shared else _channels(users)
        kinds = ["bench"] * (missed - 1) + [_LAST_KIND]
        said = [Envelope(uuid7(), kind, stamps.payload(size, kind)).seal() for kind in kinds]
        pipeline = ground.store.client.pipeline(transaction=False)
        for channel in dict.fromkeys(channels):
            pipeline.hset(self.names.meta(channel), mapping={"e": _EPOCH, "o": _TOP_OFFSET})
            for number, sealed in enumerate(said):
                offset = _TOP_OFFSET - missed + 1 + number
                pipeline.xadd(self.names.log(channel), {"m": f"m-{offset}", "d": sealed}, id=f"{offset}-0")
        pipeline.execute()
        self._terms.clear()
        self._terms.update({partition_of(name): self._term(ground, name) for name in dict.fromkeys(channels)})
        return channels

    def _term(self, ground: Ground, channel: str) -> str:
        return cast("str | None", ground.store.client.get(self.names.term(partition_of(channel)))) or "0"

    def _epoch(self, channel: str) -> str:
        return f"{_EPOCH}.{self._terms[partition_of(channel)]}"

    # -- durable messages, without the log: a Redis does not run so many scripts a second ----------

    def begin_durable(self, ground: Ground, users: int) -> None:
        """Write where each user's channel stands, as if it had been published to; before anybody connects."""
        pipeline = ground.store.client.pipeline(transaction=False)
        for channel in _channels(users):
            pipeline.hset(self.names.meta(channel), mapping={"e": _EPOCH, "o": _TOP_OFFSET})
        pipeline.execute()

    def durable_sender(self, ground: Ground, size: int, users: int) -> Sender:
        """One message to each user in turn, positioned as the publish script would do it; see `begin_durable`."""
        templates = []
        for channel in _channels(users):
            position = msgpack.packb(f"{_EPOCH}.{self._term(ground, channel)}")
            templates.append(self._template(channel, b"\x93" + OFFSET + position + _envelope(size)))
        return _sender(ground, Numbered(templates, after=_TOP_OFFSET))

    def durable_frame_bytes(self, size: int) -> int:
        return frames.server_frame_bytes(len(with_offset(stamps.payload(size), _TOP_OFFSET)))

    def _template(self, channel: str, sealed: bytes) -> Template:
        return Template.around(resp(b"PUBLISH", self.names.pubsub(channel).encode(), sealed))


def _sender(ground: Ground, messages: Callable[[int], bytes]) -> Sender:
    store = ground.store
    return SocketSender(store.host, store.port, messages, greeting=store.greeting)


def _envelope(size: int) -> bytes:
    return Envelope(uuid7(), "bench", stamps.payload(size)).seal()


def user_id(number: int) -> str:
    """The user of socket *number*."""
    return f"bench-{number}"


def _channels(users: int) -> list[str]:
    return [f"user:{user_id(number)}" for number in range(users)]


def _request(port: int, number: int, path: str = "/ws") -> bytes:
    now = int(time.time())
    everything = {claim: ["*"] for claim in ("topics", "instances", "tasks")}
    claims = {"sub": user_id(number), "iat": now, "exp": now + _TOKEN_SECONDS, **everything}
    token = jwt.encode(claims, _SECRET, algorithm="HS256")
    return frames.upgrade(port, path, {"Authorization": f"Bearer {token}"})
