"""The link: one supervised pub/sub connection to one shard, which is found dead quickly and comes back by itself."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import structlog
from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from fairlead.redis.placed import Place
from fairlead_gateway.dispatch.interest import ONLY, Where
from fairlead_gateway.dispatch.reader import Heard, RedisReader

log = structlog.get_logger(__name__)

PING_SECONDS: Final = 2.0
DEADLINE_SECONDS: Final = 5.0
"""Nothing heard for this long, although a PING was sent: the link is dead, whatever TCP says."""

ELSEWHERE: Final = ("MOVED ", "CLUSTERDOWN ", "TRYAGAIN ")
"""How a node of a cluster begins to say that a channel is not there."""


class Hearing(Protocol):
    """What is to be heard on a link; see `fairlead_gateway.dispatch.interest.Interest`."""

    def serve(self, reader: RedisReader, shard: Where) -> None: ...

    def deaf(self, shard: Where) -> None: ...

    def confirmed(self, name: bytes, shard: Where) -> None: ...

    def ended(self, name: bytes, shard: Where) -> bool: ...

    def is_whole_on(self, shard: Where) -> bool: ...


class Link:
    """
    Keeps a `RedisReader` connected, subscribed and alive, until `run` is cancelled.

    :param url: credentials and options, and where to connect to unless *place* says.
    :param shard: by which *interest* knows what is to be heard here.
    :param astray: called when a channel lives elsewhere, or may: when it is not heard any more.
    :param what: is linked to, for the log; only ``redis`` is asked whether it is the master.
    """

    def __init__(
        self,
        url: str,
        interest: Hearing,
        heard: Callable[[Heard], None],
        name: str,
        *,
        shard: Where = ONLY,
        place: Place | None = None,
        is_sharded: bool = False,
        astray: Callable[[], None] = lambda: None,
        what: str = "redis",
    ) -> None:
        self._target: dict[str, Any] = dict(parse_url(url))
        self._interest = interest
        self._heard = heard
        self._name = name
        self._shard = shard
        self._place = place
        self._is_sharded = is_sharded
        self._astray = astray
        self._what = what
        self._reader: RedisReader | None = None
        self._held = False
        self.losses = 0
        """How often the connection was lost since the start."""

    @property
    def is_up(self) -> bool:
        """Whether messages are coming through: connected, everything subscribed, and something heard lately."""
        reader = self._reader
        if reader is None or reader.lost.done() or not self._interest.is_whole_on(self._shard):
            return False
        return asyncio.get_running_loop().time() - reader.last_heard < DEADLINE_SECONDS

    async def run(self) -> None:
        """Connect, serve until lost, and again with a jittered back-off; for ever."""
        while True:
            reader = await self._connect()
            log.info(f"listening to {self._what}")
            self._reader = reader
            self._interest.serve(reader, self._shard)
            if self._held:
                reader.pause()
            try:
                await self._watch(reader)
            finally:
                self._reader = None
                self._interest.deaf(self._shard)
                reader.abort()
            self.losses += 1
            log.warning(f"{self._what} is not heard any more", losses=self.losses)
            self._astray()

    def hold(self) -> None:
        """Stop reading until `release`: fan-outs under way have more than enough to do."""
        self._held = True
        if self._reader is not None:
            self._reader.pause()

    def release(self) -> None:
        self._held = False
        if self._reader is not None:
            self._reader.resume()

    def drop(self) -> None:
        """End the connection that there is; `run` makes another one, to wherever the server is now."""
        if self._reader is not None:
            self._reader.abort()

    async def _watch(self, reader: RedisReader) -> None:
        loop = asyncio.get_running_loop()
        while not reader.lost.done():
            reader.ping()
            await asyncio.wait([reader.lost], timeout=PING_SECONDS)
            if not self._held and loop.time() - reader.last_heard > DEADLINE_SECONDS:
                return

    async def _connect(self) -> RedisReader:
        retrying = AsyncRetrying(
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            retry=retry_if_exception_type((OSError, RedisError)),
            before_sleep=self._say_once,
        )
        async for attempt in retrying:
            with attempt:
                return await self._attempt()
        raise AssertionError("tenacity gave up without being told to")

    async def _attempt(self) -> RedisReader:
        loop = asyncio.get_running_loop()

        def protocol() -> RedisReader:
            return RedisReader(self._heard, self._confirmed, self._ended, self._refused, self._is_sharded)

        target = self._target
        async with asyncio.timeout(DEADLINE_SECONDS):
            if path := target.get("path"):
                _, reader = await loop.create_unix_connection(protocol, path)
            else:
                host, port = target.get("host", "localhost"), target.get("port", 6379)
                if self._place is not None:
                    host, port = await self._place.locate()
                _, reader = await loop.create_connection(protocol, host, port, ssl=_tls(target))
            try:
                await self._greet(reader)
            except BaseException:
                reader.abort()
                raise
        return reader

    async def _greet(self, reader: RedisReader) -> None:
        if password := self._target.get("password"):
            await reader.greet("AUTH", self._target.get("username") or "default", password)
        await reader.greet("CLIENT", "SETNAME", self._name)
        if self._what == "redis" and b"role:master" not in cast(bytes, await reader.greet("INFO", "replication")):
            raise ConnectionError("this server is a replica; its master is asked for again")

    # -- what the reader tells -------------------------------------------------------------------

    def _confirmed(self, name: bytes) -> None:
        self._interest.confirmed(name, self._shard)

    def _ended(self, name: bytes) -> None:
        if self._interest.ended(name, self._shard):
            log.info("a channel has moved", channel=name.decode(errors="replace"))
            self._astray()

    def _refused(self, why: str) -> None:
        if why.startswith(ELSEWHERE):
            self._astray()
        else:
            log.error("redis refuses to be heard", why=why)

    def _say_once(self, attempt: RetryCallState) -> None:
        """An outage is an event when it begins, and no news afterwards."""
        if attempt.attempt_number == 1 and attempt.outcome is not None:
            error = attempt.outcome.exception()
            log.warning(f"{self._what} cannot be heard", why=str(error) or type(error).__name__)


def _tls(target: dict[str, Any]) -> ssl.SSLContext | None:
    """
    The TLS context that a ``rediss://`` URL asks for, made by redis-py, so that both read its options alike.

    Made anew for every connection: certificates in files may have been replaced.
    """
    if target.get("connection_class") is not SSLConnection:
        return None
    options = {name: value for name, value in target.items() if name.startswith("ssl_")}
    return SSLConnection(**options).ssl_context.get()
