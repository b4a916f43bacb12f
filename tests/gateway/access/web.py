"""A real HTTP server on loopback that answers what a test tells it to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Web:
    """One server: what it was asked, and what it will say."""

    answer: bytes = b""
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    """Answers are given while this is set."""

    requests: list[bytes] = field(default_factory=list)
    asked: asyncio.Condition = field(default_factory=asyncio.Condition)
    url: str = ""

    def says(self, document: Any) -> None:
        self.answer = response(json.dumps(document).encode())

    async def was_asked(self, times: int) -> None:
        """Wait until there were that many requests."""
        async with asyncio.timeout(5), self.asked:
            await self.asked.wait_for(lambda: len(self.requests) >= times)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        async with self.asked:
            self.requests.append(head + await reader.readexactly(length))
            self.asked.notify_all()
        await self.waits.wait()
        writer.write(self.answer)
        writer.close()


def response(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@asynccontextmanager
async def serving(document: Any = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    web = Web()
    web.waits.set()
    web.says(document)
    server = await asyncio.start_server(web.handle, "127.0.0.1", 0, ssl=tls)
    web.url = f"http{'s' if tls else ''}://localhost:{server.sockets[0].getsockname()[1]}/path?x=1"
    try:
        yield web
    finally:
        web.waits.set()
        server.close()
        await server.wait_closed()
