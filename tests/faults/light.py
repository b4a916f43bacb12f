"""A device that costs little, so that thousands fit into one process; otherwise as `tests.faults.subscriber.Device`."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import orjson

from fairlead_gateway.bench.frames import CLOSE, PING, PONG, TEXT, Walker, masked, upgrade
from tests.faults.positions import Frame
from tests.faults.subscriber import ASK_SECONDS, GREETING_SECONDS, NOBODY, OPEN_SECONDS, Device


class LightDevice(Device):
    """Reads and writes frames in callbacks: one task, and no queue."""

    async def _session(self) -> tuple[int, str]:
        recover = self.positions.recover()
        url = urlsplit(self._choose())
        path = url.path + ("?wait=connect" if recover else "")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                _, ear = await loop.create_connection(lambda: _Ear(self), url.hostname, url.port)
        except OSError as error:
            return NOBODY, type(error).__name__
        ear.write(upgrade(url.port or 0, path, {"Authorization": f"Bearer {self._token}"}))
        if recover:
            ear.say({"action": "connect", "recover": recover})
        waiting = loop.call_later(GREETING_SECONDS, ear.give_up)
        try:
            return await ear.ended
        finally:
            waiting.cancel()
            ear.abort()

    def heard(self, frame: Frame) -> list[Frame]:
        """Take in a frame; what to answer."""
        self.positions.hear(frame)
        if frame["type"] == "connection_established":
            self._failures = 0
        return [] if self.standing.is_set() and not self.positions.has_holes else self.questions()

    def questions(self) -> list[Frame]:
        """What must be asked now."""
        found = self.positions.wants()
        if self.positions.is_whole:
            self.standing.set()
        return found


class _Ear(asyncio.Protocol):
    """One connection."""

    def __init__(self, device: LightDevice) -> None:
        self._device = device
        self._walker = Walker()
        self._head = b""
        self._is_open = False
        self._is_greeted = False
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[tuple[int, str]] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(1006, "")

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            head, blank, data = (self._head + data).partition(b"\r\n\r\n")
            self._head = head + blank
            if not blank:
                return
            self._is_open = True
        for opcode, payload in self._walker.feed(data):
            if opcode == TEXT:
                self._hear(orjson.loads(payload))
            elif opcode == PING:
                self.write(masked(payload, PONG))
            elif opcode == CLOSE:
                self._end(int.from_bytes(payload[:2], "big") or 1005, payload[2:].decode())

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def say(self, frame: Frame) -> None:
        self.write(masked(orjson.dumps(frame)))

    def abort(self) -> None:
        self._transport.abort()

    def give_up(self) -> None:
        """Leave a replica that has not said hello in time."""
        if not self._is_greeted:
            self._end(1006, "no greeting")

    def _hear(self, frame: Frame) -> None:
        self._is_greeted = True
        for question in self._device.heard(frame):
            self.say(question)
        if frame["type"] == "error":
            self._loop.call_later(ASK_SECONDS, self._ask_again)

    def _ask_again(self) -> None:
        if not self.ended.done():
            for question in self._device.questions():
                self.say(question)

    def _end(self, code: int, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result((code, reason))
