"""What an attacker needs, and the bystander who must not notice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgpack

from tests.conformance.client import RawClient, text, upgraded
from tests.support.client import Client, connected
from tests.support.replica import Replica, token

ANSWER_SECONDS = 1.0
"""How long a bystander waits for its pong, at worst."""

GROWTH_KB = 16 * 1024
"""How much more memory a replica may take while it is attacked."""

BETWEEN_PINGS_SECONDS = 0.02


def someone() -> str:
    """A user that no other test knows."""
    return f"u-{uuid4().hex[:10]}"


def memory_kb(replica: Replica, name: str = "VmRSS") -> int:
    """What the kernel says about the memory of a replica; ``VmHWM`` is the peak since `forget_peak`."""
    lines = Path(f"/proc/{replica.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def forget_peak(replica: Replica) -> None:
    Path(f"/proc/{replica.pid}/clear_refs").write_text("5")


@asynccontextmanager
async def unharmed(replica: Replica, grows_kb: int = GROWTH_KB) -> AsyncIterator[None]:
    """
    The attack is in the block. Another client is served all the while; memory, the log and the process are as ever.
    """
    forget_peak(replica)
    before = memory_kb(replica)
    async with connected(replica.url, someone()) as bystander:
        watch = asyncio.create_task(_be_served(bystander))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])
        assert watch.cancelled(), f"the bystander was not served: {watch.exception()!r}"
        await _one_ping(bystander)
    assert replica.process is not None and replica.process.poll() is None
    assert memory_kb(replica, "VmHWM") - before < grows_kb
    check_log(replica)


def check_log(replica: Replica) -> None:
    """No trace, no fault of ours, no piece of a token."""
    assert "Traceback" not in replica.log
    assert "eyJ" not in replica.log
    assert [event for event in replica.events() if event["level"] in ("error", "critical")] == []


async def _be_served(bystander: Client) -> None:
    while True:
        await _one_ping(bystander)
        await asyncio.sleep(BETWEEN_PINGS_SECONDS)


async def _one_ping(bystander: Client) -> None:
    began = time.monotonic()
    assert (await bystander.ask("ping"))["type"] == "pong"
    assert time.monotonic() - began < ANSWER_SECONDS


class Attacker(RawClient):
    """A raw connection after the handshake, which may misbehave in every way."""

    def __init__(self, raw: RawClient, speaks_msgpack: bool = False) -> None:
        super().__init__(raw.reader, raw.writer)
        self._decode = msgpack.unpackb if speaks_msgpack else json.loads

    async def message(self) -> dict[str, Any]:
        """The next message; control frames are passed over, a close frame is none."""
        while (frame := await self.frame()).opcode > 2:
            assert frame.opcode != 8, f"closed: {frame.closing}"
        message: dict[str, Any] = self._decode(frame.payload)
        return message

    async def say(self, **fields: Any) -> None:
        await self.send(text(json.dumps(fields)))

    async def answer(self, ref: str) -> dict[str, Any]:
        """The one answer to the action with this id."""
        while (message := await self.message()).get("ref") != ref:
            pass
        return message

    async def is_served(self) -> bool:
        """Whether an action is still answered."""
        await self.say(action="ping", id="still-there")
        return bool((await self.answer("still-there"))["type"] == "pong")

    async def end(self) -> int:
        """The code that the server closes with; 1006 if it just cuts."""
        try:
            while (frame := await self.frame()).opcode != 8:
                pass
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return 1006
        return frame.closing[0]


@asynccontextmanager
async def knocking(replica: Replica, target: str = "/ws", **headers: str) -> AsyncIterator[Attacker]:
    """A connection whose upgrade was accepted; nothing more has been read."""
    async with upgraded(replica.port, target, **headers) as raw:
        yield Attacker(raw, "msgpack" in headers.get("Sec_WebSocket_Protocol", ""))


@asynccontextmanager
async def attacking(replica: Replica, user: str = "", target: str = "/ws", **headers: str) -> AsyncIterator[Attacker]:
    """A live connection with a good token: the greeting has been read."""
    bearer = {"Authorization": f"Bearer {token(user or someone())}"}
    async with knocking(replica, target, **bearer, **headers) as attacker:
        assert (await attacker.message())["type"] == "connection_established"
        yield attacker
