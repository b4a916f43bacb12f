"""A device that loses nothing: it comes back whatever happens, and knows what it has seen (§2.2, §2.5, §2.7)."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.faults.positions import Positions
from tests.faults.recorder import Closed, Diary, now
from tests.support.replica import token

FIRST_BACK_OFF: Final = 0.05
LAST_BACK_OFF: Final = 1.0
"""Bounds of the full jitter between two attempts, seconds; shorter than a real client's, since tests are short."""

OPEN_SECONDS: Final = 5.0
GREETING_SECONDS: Final = 12.0
"""Longer than a replica waits for Redis before it says that it cannot."""

SILENCE_SECONDS: Final = 2.0
"""After so much silence the device pings; without a pong within the same time again it leaves."""

ASK_SECONDS: Final = 0.3
"""How often it looks whether something must be asked, or asked again."""

NOBODY: Final = 0
"""In place of a code: nobody answered."""

STOPS: Final = range(4000, 4100)
COMES_BACK_NOW: Final = range(4200, 4300)


class Device:
    """
    One device of *user*, hearing *channels* beside the user's own.

    :param urls: where the replicas are at this moment.
    :param checks: see `Positions`.
    """

    def __init__(
        self,
        user: str,
        channels: Sequence[str],
        urls: Callable[[], Sequence[str]],
        diary: Diary,
        rng: random.Random,
        *,
        checks: bool = True,
    ) -> None:
        self.user = user
        self.positions = Positions(diary, [f"user:{user}", *channels], checks=checks)
        self.diary = diary
        self._urls = urls
        self._rng = rng
        self._token = token(user)
        self._failures = 0
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self.standing = asyncio.Event()
        """Set while it is connected and hears all of its channels."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"device {self.diary.device}")

    async def stop(self) -> None:
        """Hang up; whatever went wrong in the device itself is raised here."""
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def stall(self) -> None:
        """Read nothing any more, as a phone in a tunnel: the socket stays open."""
        if self._socket is not None:
            self._socket.transport.pause_reading()

    def resume(self) -> None:
        if self._socket is not None and not self._socket.transport.is_closing():
            self._socket.transport.resume_reading()

    # -- the life of a device ----------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            code, reason = await self._session()
            self.standing.clear()
            if code != NOBODY:
                self.diary.write(Closed(now(), code, reason))
            if code in STOPS:
                return
            await asyncio.sleep(self._wait(code, reason))

    def _wait(self, code: int, reason: str) -> float:
        """Seconds until the next attempt, as the table of close codes says."""
        if code in COMES_BACK_NOW:
            self._failures = 0
            delay = re.search(r"\d+", reason)
            return int(delay.group()) / 1000 if delay else 0.0
        self._failures += 1
        return self._rng.uniform(0, min(LAST_BACK_OFF, FIRST_BACK_OFF * 2**self._failures))

    async def _session(self) -> tuple[int, str]:
        """One connection to its end: the code and the reason, 1006 where there was none, `NOBODY` if it never was."""
        recover = self.positions.recover()
        url = self._choose() + ("?wait=connect" if recover else "")
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                socket = await connect(
                    url,
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    compression=None,
                    open_timeout=None,
                    ping_interval=SILENCE_SECONDS,
                    ping_timeout=SILENCE_SECONDS,
                    close_timeout=0.5,
                    max_queue=None,
                    proxy=None,
                )
        except (OSError, WebSocketException, EOFError) as error:
            return NOBODY, type(error).__name__
        self._socket = socket
        try:
            if recover:
                await _say(socket, {"action": "connect", "recover": recover})
            async with asyncio.timeout(GREETING_SECONDS):
                await self._hear(socket)
            self._failures = 0
            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(self._ask(socket))
                await self._listen(socket)
                asking.cancel()
        except* (ConnectionClosed, TimeoutError):
            pass
        finally:
            self._socket = None
            socket.transport.abort()
        close = socket.protocol.close_rcvd
        return (close.code, close.reason) if close else (1006, "")

    def _choose(self) -> str:
        """The replica to try next."""
        return self._rng.choice(list(self._urls()))

    async def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                if not self.standing.is_set() or self.positions.has_holes:
                    await self._ask_now(socket)
                await self._hear(socket)

    async def _hear(self, socket: ClientConnection) -> None:
        self.positions.hear(orjson.loads(await socket.recv()))

    async def _ask(self, socket: ClientConnection) -> None:
        """Ask again what was refused."""
        while True:
            await asyncio.sleep(ASK_SECONDS * self._rng.uniform(0.5, 1.5))
            await self._ask_now(socket)

    async def _ask_now(self, socket: ClientConnection) -> None:
        for question in self.positions.wants():
            await _say(socket, question)
        if self.positions.is_whole:
            self.standing.set()


async def _say(socket: ClientConnection, frame: dict[str, Any]) -> None:
    await socket.send(orjson.dumps(frame).decode())
