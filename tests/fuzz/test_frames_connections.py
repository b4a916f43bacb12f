"""Bytes that mean nothing: they end the connection that they came on, and nothing else."""

from __future__ import annotations

import asyncio
import os
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from fairlead_gateway.wire.limits import WireLimits
from tests.conformance.client import HANDSHAKE, dialled, masked, request, text, upgraded
from tests.conformance.server import Attaching, Served, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = WireLimits(max_message_bytes=2000, compression=True, closing_seconds=0.05, control_frames_burst=1_000_000)
ROUNDS = 60


class Calm:
    """Collects what the loop would have reported as an error."""

    def __init__(self) -> None:
        self.errors: list[object] = []

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        self.errors.append(context.get("exception") or context["message"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> Attaching:
    return Attaching()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(app: Attaching) -> AsyncIterator[Served]:
    calm = Calm()
    asyncio.get_running_loop().set_exception_handler(calm)
    async with serving(app, LIMITS) as server:
        yield server
    assert calm.errors == []


@pytest.fixture
def chance() -> random.Random:
    """A generator whose seed is printed, so that a failure can be had again with FAIRLEAD_SEED."""
    seed = int(os.environ.get("FAIRLEAD_SEED") or random.randrange(1 << 32))
    print(f"FAIRLEAD_SEED={seed}")  # noqa: T201
    return random.Random(seed)


def noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 3000))


def almost_a_frame(chance: random.Random) -> bytes:
    frame = masked(
        chance.choice([0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0xC1, 0xC2]), chance.randbytes(chance.randrange(130))
    )
    place = chance.randrange(len(frame))
    return frame[:place] + chance.randbytes(1) + frame[place + 1 :]


def cut_short(chance: random.Random) -> bytes:
    frames = b"".join(text("x" * chance.randrange(200)) for _ in range(5))
    return frames[: chance.randrange(len(frames))]


@pytest.mark.parametrize("nonsense", [noise, almost_a_frame, cut_short])
async def test_nonsense_ends_its_own_connection_and_no_other(
    served: Served, app: Attaching, chance: random.Random, nonsense: Callable[[random.Random], bytes]
) -> None:
    async with upgraded(served.port) as bystander:
        await until(lambda: app.sockets)
        app.sockets[-1].ping(b"before")
        for _ in range(ROUNDS):
            async with upgraded(served.port, Sec_WebSocket_Extensions="permessage-deflate") as client:
                await client.send(*(nonsense(chance) for _ in range(chance.randrange(1, 6))))
                client.writer.write_eof()
                await client.rest()
        assert (await bystander.frame()).payload == b"before"
        await until(lambda: len(served.state.connections) == 1)
        await bystander.send(masked(0x89, b"after"))

        assert await bystander.frame() == (0x8A, b"after")


async def test_nonsense_instead_of_a_handshake_is_answered_or_ended(served: Served, chance: random.Random) -> None:
    head = request("/", {**HANDSHAKE, "Sec-WebSocket-Protocol": "a", "Sec-WebSocket-Extensions": "permessage-deflate"})
    for _ in range(ROUNDS):
        place = chance.randrange(len(head))
        broken = head[:place] + chance.randbytes(chance.randrange(1, 4)) + head[place + chance.randrange(3) :]
        async with dialled(served.port) as client:
            await client.send(broken)
            client.writer.write_eof()

            answer = await client.rest()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    await until(lambda: not served.state.connections)


async def test_nonsense_leaves_no_memory_behind(served: Served, app: Attaching, chance: random.Random) -> None:
    async def rounds(count: int) -> int:
        for _ in range(count):
            async with upgraded(served.port) as client:
                await client.send(noise(chance), almost_a_frame(chance))
                client.writer.write_eof()
                await client.rest()
            await until(lambda: not served.state.connections)
            for kept in (app.sockets, app.scopes, app.recorder.heard, app.recorder.owners):
                kept.clear()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = await rounds(20)
    after = await rounds(60)
    tracemalloc.stop()

    assert after - before < 100_000
