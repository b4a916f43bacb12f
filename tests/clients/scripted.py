"""A gateway that does what a scenario says, frame by frame: a real WebSocket server without any mind of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.support.redis import free_port

SECONDS = 15.0
"""How long anything that must happen may take on a busy machine."""

USER = "42"
OWN = f"user:{USER}"
JSON = "fairlead.v1.json"
EPOCH = "e.1"

Frame = dict[str, Any]
Answer = Callable[[Frame], Frame]

MANNERS: dict[str, Answer] = {
    "ping": lambda said: {"type": "pong"},
    "list_confirms": lambda said: {"confirms": []},
}
"""What every gateway does and few scenarios are about; a scenario may change the answers of its own."""


def time_of(seconds_ahead: float = 0.0) -> str:
    """The gateway's clock, as its greeting tells it."""
    return (
        (datetime.now(UTC) + timedelta(seconds=seconds_ahead)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


class Line:
    """One connection of a client, as the gateway sees it."""

    def __init__(self, websocket: ServerConnection, number: int, manners: dict[str, Answer]) -> None:
        assert websocket.request is not None
        self._websocket = websocket
        self._manners = manners
        self._unread: list[Frame] = []
        self._news = asyncio.Event()
        self.is_over = False
        self.number = number
        """1 for the first connection to this server."""
        self.at = asyncio.get_running_loop().time()
        self.path = websocket.request.path
        self.headers = websocket.request.headers
        self.said: list[Frame] = []
        """All frames of the client, in order."""

    @property
    def offered(self) -> list[str]:
        """The subprotocols that the client offered."""
        return [one.strip() for value in self.headers.get_all("Sec-WebSocket-Protocol") for one in value.split(",")]

    @property
    def token(self) -> str:
        """The credential that came with the opening, wherever it was."""
        bearers = [one.removeprefix("bearer.") for one in self.offered if one.startswith("bearer.")]
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or "".join(bearers)

    @property
    def waits(self) -> bool:
        """Whether the client asked that nothing goes live before its ``connect``."""
        return "wait=connect" in self.path

    def actions(self, *names: str) -> list[Frame]:
        """What the client said so far, of these actions."""
        return [frame for frame in self.said if frame.get("action") in names]

    # -- hearing ---------------------------------------------------------------------------------

    async def hears(self, action: str, seconds: float = SECONDS) -> Frame:
        """The next frame of this action that no other call has returned."""
        async with asyncio.timeout(seconds):
            while True:
                for frame in self._unread:
                    if frame.get("action") == action:
                        self._unread.remove(frame)
                        return frame
                if self.is_over:
                    raise AssertionError(f"the connection ended before {action}; it said {self.said}")
                self._news.clear()
                await self._news.wait()

    async def ended(self, seconds: float = SECONDS) -> tuple[int | None, str | None]:
        """Wait until the connection is over; the close code and reason that the client sent, if it did."""
        async with asyncio.timeout(seconds):
            await self._websocket.wait_closed()
        received = self._websocket.protocol.close_rcvd
        return (received.code, received.reason) if received else (None, None)

    async def listen(self) -> None:
        """Take in what the client says, until the end."""
        try:
            async for text in self._websocket:
                frame: Frame = json.loads(text)
                self.said.append(frame)
                answer = self._manners.get(str(frame.get("action")))
                if answer is None:
                    self._unread.append(frame)
                elif "id" in frame:
                    await self.reply(frame, **answer(frame))
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self.is_over = True
            self._news.set()

    # -- saying ----------------------------------------------------------------------------------

    async def say(self, *frames: Frame) -> None:
        """Send frames, all together."""
        for frame in frames[:-1]:
            self._websocket.protocol.send_text(json.dumps(frame).encode())
        await self._websocket.send(json.dumps(frames[-1]))

    async def say_raw(self, text: str) -> None:
        """Send what need not be a frame."""
        await self._websocket.send(text)

    async def say_late(self, *frames: Frame) -> None:
        """Send frames to somebody who may have gone."""
        with suppress(ConnectionClosed):
            await self.say(*frames)

    async def reply(self, asked: Frame, **fields: Any) -> None:
        """Answer *asked* with a reply."""
        await self.say({"type": "reply", "ref": asked["id"], "ok": True, **fields})

    async def fail(self, asked: Frame, code: str, message: str = "no", **detail: Any) -> None:
        """Answer *asked* with an error."""
        await self.say({"type": "error", "ref": asked["id"], "code": code, "message": message, "detail": detail})

    async def greet(
        self,
        *missed: Frame,
        channels: Mapping[str, Frame] | None = None,
        interval: float = 30.0,
        ahead: float = 0.0,
    ) -> None:
        """
        Greet the client; what it *missed* follows at once.

        :param channels: where they stand; the user's own at 0 unless named.
        :param interval: of the heartbeat, in seconds.
        :param ahead: seconds by which the gateway's clock is ahead.
        """
        greeting: Frame = {
            "type": "connection_established",
            "connection_id": f"c{self.number}",
            "user_id": USER,
            "session_id": None,
            "instance": None,
            "replica": "scripted",
            "server_time": time_of(ahead),
            "heartbeat": {"interval": interval, "timeout": 2 * interval},
            "channels": {OWN: at(0), **(channels or {})},
        }
        said = self.actions("connect")
        if said and "id" in said[0]:
            greeting |= {"ref": said[0]["id"], "ok": True}
        await self.say(greeting, *missed)

    async def welcome_back(self, *missed: Frame, **options: Any) -> Frame:
        """Hear where the client stands, and let it have missed nothing but *missed*; returns its ``connect``."""
        first = await self.hears("connect")
        channels: dict[str, Frame] = {}
        for name, position in first.get("recover", {}).items():
            last = max([one["offset"] for one in missed if one.get("channel") == name], default=position["offset"])
            channels[name] = at(last, position["epoch"] or EPOCH, recovered=bool(position["epoch"]))
        await self.greet(*missed, **{"channels": channels} | options)
        return first

    async def close(self, code: int, reason: str = "") -> None:
        """End the connection as the gateway does."""
        await self._websocket.close(code, reason)

    def reset(self) -> None:
        """End it as a power cut would."""
        self._websocket.transport.abort()

    def freeze(self) -> None:
        """Keep the socket, and neither read nor answer: half open, as the client sees it."""
        self._websocket.transport.pause_reading()


def at(offset: int, epoch: str = EPOCH, **more: Any) -> Frame:
    """Where a channel stands: ``at(3, recovered=True)``."""
    return {"offset": offset, "epoch": epoch, **more}


def note(offset: int, content: Any = None, channel: str = OWN, **more: Any) -> Frame:
    """A message of a durable channel; its id is of its channel and offset."""
    body = {"type": "note", "id": f"{channel}/{offset}", "channel": channel, "offset": offset}
    return {**body, "from": "system", "to": channel, "content": offset if content is None else content, **more}


class Scripted:
    """The server: it lets everybody in, and a scenario takes the connections one after the other."""

    def __init__(self) -> None:
        self.port = free_port()
        self.lines: list[Line] = []
        self.manners = dict(MANNERS)
        """Answers by action, for frames that no scenario waits for."""
        self.is_shut = False
        """Whether who comes is refused with an HTTP status, as by a proxy without a gateway behind it."""
        self.knocks: list[float] = []
        """When somebody tried to open a connection, refused or not."""
        self._taken = count()
        self._news = asyncio.Event()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def next(self, seconds: float = SECONDS) -> Line:
        """The next connection that no other call has returned."""
        number = next(self._taken)
        async with asyncio.timeout(seconds):
            while len(self.lines) <= number:
                self._news.clear()
                await self._news.wait()
        return self.lines[number]

    async def greeted(self, *missed: Frame, **options: Any) -> Line:
        """The next connection, greeted; who comes back is heard first, and has missed nothing but *missed*."""
        line = await self.next()
        await (line.welcome_back if line.waits else line.greet)(*missed, **options)
        return line

    async def knocked(self, times: int, seconds: float = SECONDS) -> None:
        """Wait until somebody has come that often."""
        async with asyncio.timeout(seconds):
            while len(self.knocks) < times:
                self._news.clear()
                await self._news.wait()

    async def start(self) -> None:
        """Listen, on the port that it has had from the beginning."""
        self._server = await serve(
            self._seat,
            "127.0.0.1",
            self.port,
            select_subprotocol=_agree,
            process_request=self._let_in,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
            compression=None,
        )

    async def stop(self) -> None:
        """Listen no more, and end all connections: nobody is there."""
        for line in self.lines:
            line.reset()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        self.knocks.append(asyncio.get_running_loop().time())
        self._news.set()
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "nobody home\n") if self.is_shut else None

    async def _seat(self, websocket: ServerConnection) -> None:
        line = Line(websocket, len(self.lines) + 1, self.manners)
        self.lines.append(line)
        self._news.set()
        await line.listen()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _agree(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((one for one in offered if one == JSON), None)
