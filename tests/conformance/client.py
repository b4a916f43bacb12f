"""A client that says exactly the bytes it is told to, right or wrong, and reads frames with nobody's parser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

DEADLINE_SECONDS = 5.0
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 §1.3."""

HANDSHAKE = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY.decode(),
    "Sec-WebSocket-Version": "13",
}


class Frame(NamedTuple):
    """A frame as it was received."""

    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def closing(self) -> tuple[int, str]:
        """Code and reason of a close frame."""
        assert self.opcode == 8, f"not a close frame: {self}"
        if not self.payload:
            return 1005, ""
        return int.from_bytes(self.payload[:2], "big"), self.payload[2:].decode()


def masked(first: int, payload: bytes = b"", mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """A client's frame; *first* holds FIN, the reserved bits and the opcode."""
    length = len(payload)
    if length < 126:
        size = bytes((0x80 | length,))
    elif length < 65536:
        size = b"\xfe" + length.to_bytes(2, "big")
    else:
        size = b"\xff" + length.to_bytes(8, "big")
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if length < 4096 else _xor(payload, mask)
    return bytes((first,)) + size + mask + body


def _xor(payload: bytes, mask: bytes) -> bytes:
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def text(payload: str) -> bytes:
    return masked(0x81, payload.encode())


def request(
    target: str = "/", headers: dict[str, str] | None = None, method: str = "GET", version: str = "1.1"
) -> bytes:
    """An upgrade request."""
    lines = [f"{method} {target} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in (HANDSHAKE if headers is None else headers).items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


class RawClient:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.writer.drain()

    async def trickle(self, data: bytes, pieces: Iterable[int]) -> None:
        """Send *data* cut at the given places, each piece in a segment of its own."""
        start = 0
        for cut in (*pieces, len(data)):
            await self.send(data[start:cut])
            await asyncio.sleep(0)
            start = cut

    async def head(self) -> bytes:
        """The response head, with its empty line."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> Frame:
        """The next frame, which must be as a server's must be: unmasked, with the shortest length."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            first, length = await self.reader.readexactly(2)
            assert length < 128, "a server must not mask"
            if length > 125:
                size, least = (2, 126) if length == 126 else (8, 65536)
                length = int.from_bytes(await self.reader.readexactly(size), "big")
                assert length >= least, "the shortest length must be used"
            return Frame(first, await self.reader.readexactly(length))

    async def rest(self, seconds: float = DEADLINE_SECONDS) -> bytes:
        """Everything until the server ends the connection; a reset ends it, too."""
        async with asyncio.timeout(seconds):
            read = bytearray()
            try:
                while piece := await self.reader.read(65536):
                    read += piece
            except ConnectionResetError:
                pass
            return bytes(read)

    def leave(self) -> None:
        """Disappear without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[RawClient]:
    """A connection on which nothing has been said."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield client
    finally:
        client.leave()


@asynccontextmanager
async def upgraded(port: int, target: str = "/", **headers: str) -> AsyncIterator[RawClient]:
    """A connection on which the handshake is done; underscores in *headers* are hyphens."""
    async with dialled(port) as client:
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        await client.send(request(target, {**HANDSHAKE, **extra}))
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield client
