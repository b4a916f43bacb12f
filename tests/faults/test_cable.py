"""A fault that does not happen proves nothing: the cable does what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.cable import Cable
from tests.support.redis import Server

PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"
QUIET_SECONDS = 0.2
SECONDS = 5.0


class Talk:
    """One connection through a cable to Redis."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def ping(self) -> None:
        self._writer.write(PING)

    async def answer(self, seconds: float = SECONDS) -> bytes:
        async with asyncio.timeout(seconds):
            return await self._reader.read(100)

    async def has_ended(self) -> bool:
        """Whether nothing comes any more, with or without a reset."""
        try:
            return await self.answer() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def talking(server: Server) -> AsyncIterator[tuple[Cable, Talk]]:
    async with Cable(server.port) as cable:
        port = int(cable.url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        talk = Talk(reader, writer)
        talk.ping()
        assert await talk.answer() == PONG
        yield cable, talk
        writer.transport.abort()


@pytest.mark.parametrize("way", ["up", "down"])
async def test_what_is_blocked_arrives_when_the_way_is_clear(own_server: Server, way: str) -> None:
    async with talking(own_server) as (cable, talk):
        getattr(cable, way).block()
        talk.ping()
        with pytest.raises(TimeoutError):
            await talk.answer(QUIET_SECONDS)

        cable.clear()

        assert await talk.answer() == PONG


async def test_what_is_slow_arrives_late(own_server: Server) -> None:
    async with talking(own_server) as (cable, talk):
        cable.up.delay_seconds = cable.down.delay_seconds = QUIET_SECONDS
        loop = asyncio.get_running_loop()
        began = loop.time()
        talk.ping()

        assert await talk.answer() == PONG
        assert loop.time() - began >= 2 * QUIET_SECONDS


async def test_a_cut_ends_the_connection(own_server: Server) -> None:
    async with talking(own_server) as (cable, talk):
        cable.cut()

        assert await talk.has_ended()
