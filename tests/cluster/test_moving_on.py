"""Clients that a draining replica sends elsewhere go on there, and miss nothing of what is said meanwhile (DEP-4)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import fairlead
from fairlead.backend.backend import Backend
from fairlead_gateway.wire.frames import CLOSE, TEXT
from fairlead_gateway.wire.limits import WireLimits
from fairlead_gateway.wire.parser import FrameParser
from tests.support.replica import Replica, replicas, token

CLIENTS = 300
SESSIONS = 4
WINDOW_SECONDS = 3.0
MESSAGES_PER_SECOND = 200
AFTERWARDS_SECONDS = 0.5
"""How long publishing goes on after the replica has ended."""

SECONDS = 20.0
DRAIN = 4200


class Wire(asyncio.Protocol):
    """One WebSocket that costs next to nothing: what it reads is told, its close frame is answered."""

    def __init__(self, request: bytes, hello: bytes, heard: Callable[[dict[str, Any]], None]) -> None:
        self._opening = request
        self._hello = hello
        self._heard = heard
        self._head = b""
        self._parser: FrameParser | None = None
        self.ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        """The server's close code and reason."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head, head
            self._parser = FrameParser(WireLimits().max_message_bytes, from_client=False)
            self._transport.write(masked(TEXT, self._hello))
        self._parser.feed(data)
        while (event := self._parser.next()) is not None:
            self._event(*event)

    def _event(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._heard(json.loads(payload))
        elif opcode == CLOSE and not self.ended.done():
            self.ended.set_result((int.from_bytes(payload[:2]), payload[2:].decode()))
            self._transport.write(masked(CLOSE, payload[:2]))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result((1006, ""))

    def abort(self) -> None:
        self._transport.abort()


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame of a client, with the mask that changes nothing."""
    size = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes((0x80 | opcode,)) + size + bytes(4) + payload


class Listener:
    """A client in one session that does as it is told: on 4200 it waits, and goes on elsewhere where it stands."""

    def __init__(self, number: int, replicas: list[Replica]) -> None:
        self.session = f"s{number % SESSIONS}"
        self._channel = f"session:{self.session}"
        self._replicas = replicas
        self._token = token(f"u{number}")
        self._position: dict[str, Any] = {}
        self.heard: list[int] = []
        """Contents of the messages that passed the offset check."""
        self.faults: list[str] = []
        self.moves: list[tuple[int, str]] = []
        """How each of its connections ended."""
        self.greeted = asyncio.Event()

    async def live(self) -> None:
        """Be connected to one replica after the other, until cancelled."""
        loop = asyncio.get_running_loop()
        for replica in self._replicas:
            _, wire = await loop.create_connection(self._wire, "127.0.0.1", replica.port)
            try:
                code, reason = await wire.ended
            finally:
                wire.abort()
            self.moves.append((code, reason))
            await asyncio.sleep(int(reason.partition(": ")[2] or 0) / 1000)

    def _wire(self) -> Wire:
        recover = {self._channel: self._position} if self._position else {}
        self.greeted.clear()
        request = (
            f"GET /ws/chat/session/{self.session}?wait=connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n"
        )
        return Wire(request.encode(), json.dumps({"action": "connect", "recover": recover}).encode(), self._hear)

    def _hear(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "connection_established":
            self._greet(frame["channels"][self._channel])
        elif frame["type"] == "note":
            self._check(frame)

    def _greet(self, channel: dict[str, Any]) -> None:
        if self._position and not channel["recovered"]:
            self.faults.append(f"not recovered from {self._position}: {channel}")
        elif not self._position:
            self._position = {"offset": channel["offset"], "epoch": channel["epoch"]}
        self.greeted.set()

    def _check(self, frame: dict[str, Any]) -> None:
        last, offset = self._position["offset"], frame["offset"]
        if offset != last + 1:
            self.faults.append(f"{offset} after {last}")
        if offset > last:
            self._position |= {"offset": offset, "id": frame["id"]}
            self.heard.append(frame["content"])


async def publish(backend: Backend, stop: asyncio.Event) -> list[int]:
    """Say numbers to all sessions in turn until told to stop; how many each was told."""
    loop = asyncio.get_running_loop()
    began, number = loop.time(), 0
    while not stop.is_set() or number % SESSIONS:
        session, turn = number % SESSIONS, number // SESSIONS
        await backend.send_to_session(f"s{session}", {"type": "note", "content": turn})
        number += 1
        await asyncio.sleep(began + number / MESSAGES_PER_SECOND - loop.time())
    return list(range(number // SESSIONS))


async def test_every_message_arrives_once_and_in_order_at_clients_that_move(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, drain_linger_seconds=0.2, drain_seconds=WINDOW_SECONDS) as (leaves, stays):
        listeners = [Listener(number, [leaves, stays]) for number in range(CLIENTS)]
        stop = asyncio.Event()
        async with (
            asyncio.timeout(SECONDS),
            fairlead.connect(redis_url, prefix=prefix) as backend,
            asyncio.TaskGroup() as tasks,
        ):
            lives = [tasks.create_task(one.live()) for one in listeners]
            await asyncio.gather(*(one.greeted.wait() for one in listeners))
            publishing = tasks.create_task(publish(backend, stop))
            os.kill(leaves.pid, signal.SIGTERM)
            assert leaves.process is not None
            assert await asyncio.to_thread(leaves.process.wait, SECONDS) == 0
            await asyncio.sleep(AFTERWARDS_SECONDS)
            stop.set()
            said = await publishing
            while any(len(one.heard) < len(said) and not one.faults for one in listeners):
                await asyncio.sleep(0.02)
            for life in lives:
                life.cancel()

    assert len(said) > WINDOW_SECONDS * MESSAGES_PER_SECOND / SESSIONS / 2, "published while they moved"
    assert [fault for one in listeners for fault in one.faults] == []
    assert all(one.heard == said for one in listeners)
    assert {(len(one.moves), code) for one in listeners for code, _ in one.moves} == {(1, DRAIN)}
