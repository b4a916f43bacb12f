"""A TCP link that can be cut, go silent in one direction or in both while its ends keep their sockets, and be slow."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

CHUNK: Final = 1 << 18


class Way:
    """One direction of every link."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.delay_seconds = 0.0
        """How long each piece is held back; the order stays."""

    def block(self) -> None:
        """Let nothing through; what was sent arrives after `clear`, as TCP sends again what was not acknowledged."""
        self._open.clear()

    def clear(self) -> None:
        self._open.set()
        self.delay_seconds = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy until the end, and pass the end on."""
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        await self._open.wait()
        writer.transport.abort()


class _Link(NamedTuple):
    here: asyncio.StreamWriter
    there: asyncio.StreamWriter

    def abort(self) -> None:
        self.here.transport.abort()
        self.there.transport.abort()


class Cable:
    """Links from a port of its own to the first of *target_ports* on this machine where somebody listens."""

    def __init__(self, *target_ports: int) -> None:
        self._target_ports = target_ports
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self.port = 0
        self.up = Way()
        """Towards the target."""
        self.down = Way()
        """From the target."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def clear(self) -> None:
        """All is well again."""
        self.up.clear()
        self.down.clear()

    def cut(self) -> None:
        """End every link at once; new ones may be made."""
        for link in self._links:
            link.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.clear()
        while self._links:
            self.cut()
            await asyncio.sleep(0)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self._target_ports:
            with suppress(OSError):
                there_reader, there = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            writer.transport.abort()
            return
        link = _Link(writer, there)
        self._links.add(link)
        await asyncio.gather(self.up.carry(reader, there), self.down.carry(there_reader, writer))
        self._links.discard(link)
