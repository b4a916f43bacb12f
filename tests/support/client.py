"""A WebSocket client for tests: it remembers every frame, and nothing it waits for may take for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.replica import token

SECONDS = 30.0
"""How long anything may take that must come: on a busy machine much longer than it should."""

Frame = dict[str, Any]


class Client:
    """One connection that has said hello, or was refused: then `closed` tells why."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.frames: list[Frame] = []
        self._looked_at = 0
        self._asked = 0

    async def next(self, seconds: float = SECONDS) -> Frame:
        """The next frame that no other call has returned."""
        if self._looked_at == len(self.frames):
            async with asyncio.timeout(seconds):
                self.frames.append(json.loads(await self.websocket.recv()))
        self._looked_at += 1
        return self.frames[self._looked_at - 1]

    async def until(self, wanted: str | Callable[[Frame], bool], seconds: float = SECONDS) -> Frame:
        """The next frame of a type, or that a function accepts; those before it are passed over."""
        accepts = (lambda frame: frame["type"] == wanted) if isinstance(wanted, str) else wanted
        async with asyncio.timeout(seconds):
            while not accepts(frame := await self.next(seconds)):
                pass
        return frame

    async def say(self, action: str, **fields: Any) -> None:
        """Send an action without an id."""
        await self.websocket.send(json.dumps({"action": action, **fields}))

    async def ask(self, action: str, **fields: Any) -> Frame:
        """Send an action, and return its one reply or error; other frames stay to be looked at."""
        self._asked += 1
        ref = f"ask-{self._asked}"
        await self.say(action, id=ref, **fields)
        seen = self._looked_at
        answer = await self.until(lambda frame: frame.get("ref") == ref)
        self.frames.remove(answer)
        self._looked_at = seen
        return answer

    async def closed(self, seconds: float = SECONDS) -> tuple[int, str]:
        """Wait for the end; the server's code and reason, 1006 when it gave none."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.frames.append(json.loads(await self.websocket.recv()))
        except ConnectionClosed as error:
            return (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "")

    async def silent(self, seconds: float = 0.3) -> None:
        """Fail if anything arrives within *seconds*."""
        try:
            frame = await self.next(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected frame: {frame}")


@asynccontextmanager
async def client(url: str, user: str = "", **grants: Any) -> AsyncIterator[Client]:
    """A connection of *user* with a good token; of nobody when no user is named."""
    headers = {"Authorization": f"Bearer {token(user, **grants)}"} if user else {}
    async with asyncio.timeout(SECONDS):
        websocket = await connect(url, additional_headers=headers, ping_interval=None, max_size=None)
    try:
        yield Client(websocket)
    finally:
        await websocket.close()


@asynccontextmanager
async def connected(url: str, user: str, **grants: Any) -> AsyncIterator[Client]:
    """A live connection: the greeting has been read."""
    async with client(url, user, **grants) as live:
        greeting = await live.next()
        assert greeting["type"] == "connection_established", greeting
        yield live
