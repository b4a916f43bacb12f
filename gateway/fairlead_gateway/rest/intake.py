"""What a client sends behind the head of its request: bounded in bytes, in time, and in what it may be."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from fairlead.errors import TooLarge
from fairlead.format.codec import MAX_BYTES
from fairlead_gateway.rest.problems import Refused, problem

BODY_SECONDS: Final = 5.0
"""How long a body may take to arrive."""

JSON: Final = "application/json"

_DRAIN_SECONDS: Final = 0.5
_DRAIN_BYTES: Final = 4 * MAX_BYTES


class Intake:
    """The body of one request, as far as it was read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        length = self._headers.get("content-length", "0")
        self._length = int(length) if length.isdecimal() else 0
        self.is_over = not self._length and "transfer-encoding" not in self._headers
        """Whether nothing more will come."""

    async def json(self) -> bytes:
        """
        The whole of it, which must be JSON as far as the head says.

        :raises Refused: it is of another kind, or takes too long.
        :raises TooLarge: it is more than `MAX_BYTES`.
        :raises ClientDisconnect: the client has left.
        """
        media_type = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != JSON or self._headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Refused(problem(415, f"send the body as {JSON}, uncompressed"))
        _bounded(self._length)
        data = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not self.is_over:
                    data += await self._next()
                    _bounded(len(data))
        except TimeoutError:
            raise Refused(problem(408, f"the body took longer than {BODY_SECONDS:g} s")) from None
        return bytes(data)

    async def left(self) -> None:
        """Return when the client has left; to be awaited once all of the body was read."""
        while (await self._receive())["type"] == "http.request":
            pass

    async def drain(self) -> None:
        """
        Read a little of what nobody wants.

        Were the connection closed upon it, the client could lose the answer; to read all of it would be to serve
        whoever sends without end.
        """
        read = 0
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self.is_over and read < _DRAIN_BYTES:
                    read += len(await self._next())
        except (TimeoutError, ClientDisconnect):
            return

    async def _next(self) -> bytes:
        message: Message = await self._receive()
        self.is_over = message["type"] != "http.request" or not message.get("more_body", False)
        if message["type"] != "http.request":
            raise ClientDisconnect
        body: bytes = message.get("body", b"")
        return body


def _bounded(size: int) -> None:
    if size > MAX_BYTES:
        raise TooLarge(f"the body is {size} bytes or more; at most {MAX_BYTES} are allowed", limit=MAX_BYTES)
