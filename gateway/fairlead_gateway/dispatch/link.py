"""The link: one supervised pub/sub connection to Redis, which is found dead quickly and comes back by itself."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final

import structlog
from redis.asyncio.connection import parse_url
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.reader import Heard, RedisReader

log = structlog.get_logger(__name__)

PING_SECONDS: Final = 2.0
DEADLINE_SECONDS: Final = 5.0
"""Nothing heard for this long, although a PING was sent: the link is dead, whatever TCP says."""


class Link:
    """Keeps a `RedisReader` connected, subscribed and alive, until `run` is cancelled."""

    def __init__(self, url: str, interest: Interest, heard: Callable[[Heard], None], name: str) -> None:
        self._target: dict[str, Any] = dict(parse_url(url))
        self._interest = interest
        self._heard = heard
        self._name = name
        self._reader: RedisReader | None = None
        self._held = False
        self.losses = 0
        """How often the connection was lost since the start."""

    @property
    def is_up(self) -> bool:
        """Whether messages are coming through: connected, everything subscribed, and something heard lately."""
        reader = self._reader
        if reader is None or reader.lost.done() or not self._interest.is_whole:
            return False
        return asyncio.get_running_loop().time() - reader.last_heard < DEADLINE_SECONDS

    async def run(self) -> None:
        """Connect, serve until lost, and again with a jittered back-off; for ever."""
        while True:
            reader = await self._connect()
            log.info("listening to redis", channels=len(self._interest))
            self._reader = reader
            self._interest.serve(reader)
            if self._held:
                reader.pause()
            try:
                await self._watch(reader)
            finally:
                self._reader = None
                self._interest.deaf()
                reader.abort()
            self.losses += 1
            log.warning("redis is not heard any more", losses=self.losses)

    def hold(self) -> None:
        """Stop reading until `release`: fan-outs under way have more than enough to do."""
        self._held = True
        if self._reader is not None:
            self._reader.pause()

    def release(self) -> None:
        self._held = False
        if self._reader is not None:
            self._reader.resume()

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
            retry=retry_if_exception_type(OSError),
            before_sleep=_say_once,
        )
        async for attempt in retrying:
            with attempt:
                return await self._attempt()
        raise AssertionError("tenacity gave up without being told to")

    async def _attempt(self) -> RedisReader:
        loop = asyncio.get_running_loop()

        def protocol() -> RedisReader:
            return RedisReader(self._heard, self._interest.confirmed)

        target = self._target
        async with asyncio.timeout(DEADLINE_SECONDS):
            if path := target.get("path"):
                _, reader = await loop.create_unix_connection(protocol, path)
            else:
                host, port = target.get("host", "localhost"), target.get("port", 6379)
                _, reader = await loop.create_connection(protocol, host, port, ssl=_tls(target))
            try:
                if password := target.get("password"):
                    await reader.greet("AUTH", target.get("username") or "default", password)
                await reader.greet("CLIENT", "SETNAME", self._name)
            except BaseException:
                reader.abort()
                raise
        return reader


def _say_once(attempt: RetryCallState) -> None:
    """An outage is an event when it begins, and no news afterwards."""
    if attempt.attempt_number == 1 and attempt.outcome is not None:
        error = attempt.outcome.exception()
        log.warning("redis cannot be heard", why=str(error) or type(error).__name__)


def _tls(target: dict[str, Any]) -> ssl.SSLContext | None:
    """The TLS context that a ``rediss://`` URL asks for, with the same options that redis-py reads."""
    if "connection_class" not in target:
        return None
    context = ssl.create_default_context(cafile=target.get("ssl_ca_certs"))
    if target.get("ssl_cert_reqs") in ("none", "CERT_NONE"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif target.get("ssl_check_hostname") in (False, "false", "False"):
        context.check_hostname = False
    if certificate := target.get("ssl_certfile"):
        context.load_cert_chain(certificate, target.get("ssl_keyfile"))
    return context
