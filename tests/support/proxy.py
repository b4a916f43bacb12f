"""A TCP proxy that counts, and cuts where it is told to."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Stands between a client and a server on this machine."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0
        self.round_trips = 0
        """How often the client spoke after the server had."""
        self.cut_answers = 0
        """How many of the next answers are swallowed; the connection ends instead."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.connections += 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        client_spoke_last = False

        async def up() -> None:
            nonlocal client_spoke_last
            while data := await reader.read(1 << 20):
                if not client_spoke_last:
                    self.round_trips += 1
                client_spoke_last = True
                up_writer.write(data)

        async def down() -> None:
            nonlocal client_spoke_last
            while data := await up_reader.read(1 << 20):
                client_spoke_last = False
                if self.cut_answers:
                    self.cut_answers -= 1
                    return
                writer.write(data)

        ways = [asyncio.create_task(up()), asyncio.create_task(down())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            with suppress(OSError):
                await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            up_writer.close()
            self._links.discard(task)
