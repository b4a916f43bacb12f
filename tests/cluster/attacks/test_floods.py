"""Clients that do too much of what is allowed are ended with bounded memory; what they held is given back (CON-9)."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.format.past import MAX_PAGE_BYTES
from fairlead.names import Names
from tests.cluster.attacks.attacker import Attacker, attacking, knocking, memory_kb, someone, unharmed
from tests.conformance.client import masked, text
from tests.support.replica import Replica, token

PING = masked(0x89, b"x" * 125)
PONG = masked(0x8A, b"x" * 125)
ASK = text('{"action":"ping","id":"p"}')
CONFIRM = text('{"action":"confirm","callback_id":"0123456789abcdef0123456789abcdef.guess","proceed":true}')
LIST = text('{"action":"list_confirms","id":"l"}')
CLOSED_IN_SECONDS = 3.0
BOMB_BYTES = 50_000_000
LESS_THAN_A_CONNECTION_KB = 5
"""Bounded caches of names and tokens fill up meanwhile; a connection that stayed would cost more than this."""


@pytest.mark.parametrize("frame", [PING, PONG], ids=["pings", "pongs"])
async def test_ten_thousand_control_frames_a_second_end_with_4129(target: Replica, frame: bytes) -> None:
    async with attacking(target) as attacker:
        sending = asyncio.create_task(insist(attacker, frame * 100, 100))

        assert await attacker.end() == 4129
        await sending


@pytest.mark.parametrize(
    "frame",
    [PING, ASK, text("{"), text('{"action":"nope"}'), CONFIRM, LIST],
    ids=["ping", "ask", "bad", "nope", "confirm", "list"],
)
async def test_a_flood_from_who_never_reads_is_cut_off(target: Replica, frame: bytes) -> None:
    async with AsyncExitStack() as stack:
        deaf = [await stack.enter_async_context(attacking(target)) for _ in range(5)]
        for attacker in deaf:
            attacker.writer.transport.pause_reading()  # type: ignore[attr-defined]
        began = time.monotonic()

        await asyncio.gather(*(until_cut(attacker, frame * 100) for attacker in deaf))

    assert time.monotonic() - began < CLOSED_IN_SECONDS


async def test_ten_thousand_actions_at_once_are_told_to_wait_and_then_end_with_4129(target: Replica) -> None:
    async with attacking(target) as attacker:
        sending = asyncio.create_task(insist(attacker, ASK * 100, 100))
        codes: list[str] = []
        while (frame := await attacker.frame()).opcode == 1:
            codes.append(json.loads(frame.payload).get("code", "pong"))
        await sending

    assert frame.closing[0] == 4129
    assert 200 <= codes.count("pong") < 300
    assert codes[-1] == "rate_limited" and codes.count("rate_limited") >= 60


async def test_pages_of_history_as_fast_as_they_are_given_keep_nobody_waiting(target: Replica, redis_url: str) -> None:
    session, pages = someone(), 150
    async with fairlead.connect(redis_url, prefix="attacked") as fl:
        for _ in range(20):
            await fl.send_to_session(session, {"type": "large", "content": "x" * 25_000})
    asking = text(json.dumps({"action": "history", "id": "h", "channel": f"session:{session}", "limit": 100}))
    async with AsyncExitStack() as stack:
        members = [
            await stack.enter_async_context(attacking(target, target=f"/ws/chat/session/{session}")) for _ in range(3)
        ]

        sizes = await asyncio.gather(*(read_on(attacker, asking, pages) for attacker in members))

    assert {max(some) <= MAX_PAGE_BYTES for some in sizes} == {True}
    assert {min(some) > MAX_PAGE_BYTES / 2 for some in sizes} == {True}


async def read_on(attacker: Attacker, asking: bytes, pages: int) -> list[int]:
    """Ask for so many pages at once, and read them; how long each is in JSON."""
    await attacker.send(asking * pages)
    sizes: list[int] = []
    while len(sizes) < pages:
        if (message := await attacker.message()).get("ref") == "h":
            assert message["ok"], message
            sizes.append(len(json.dumps(message["messages"])))
    return sizes


@pytest.mark.parametrize("bad", ["{", "[]", '{"action":"nope"}', '{"action":"subscribe"}'])
async def test_a_flood_of_invalid_frames_ends_with_4129(target: Replica, bad: str) -> None:
    async with attacking(target) as attacker:
        sending = asyncio.create_task(insist(attacker, text(bad) * 10, 20))
        said = [(await attacker.message())["type"] for _ in range(60)]

        assert await attacker.end() == 4129
        await sending

    assert said == ["error"] * 60


async def test_who_sends_too_many_bytes_is_told_to_wait(target: Replica) -> None:
    big = text(json.dumps({"action": "ping", "padding": "x" * 60_000}))
    async with attacking(target) as attacker:
        await insist(attacker, big, 30)
        answers = [await attacker.message() for _ in range(30)]

    codes = [answer.get("code", "pong") for answer in answers]
    assert codes[:17] == ["pong"] * 17 and codes[-10:] == ["rate_limited"] * 10
    assert 0 < answers[-1]["detail"]["retry_ms"] < 4_000


async def test_who_never_answers_the_close_is_cut_and_its_flood_goes_nowhere(target: Replica) -> None:
    async with attacking(target) as attacker:
        await attacker.send(masked(0x89) * 200)
        assert await attacker.end() == 4129
        began = time.monotonic()

        await until_cut(attacker, PING * 100)

    assert time.monotonic() - began < CLOSED_IN_SECONDS


async def test_who_goes_on_after_a_violation_is_cut(target: Replica) -> None:
    async with attacking(target) as attacker:
        await attacker.send(b"\x81\x02{}")
        assert await attacker.end() == 1002

        await until_cut(attacker, ASK * 100)


async def test_visitors_who_flood_before_they_say_who_they_are_end_with_4129(target: Replica) -> None:
    async with knocking(target) as pinger:
        await insist(pinger, PING, 200)
        assert await pinger.end() == 4129


async def test_thousands_who_come_and_go_leave_nothing_behind(
    target: Replica, attacked_fleet: list[Replica], redis: Redis
) -> None:
    names, users = Names("attacked"), [someone() for _ in range(100)]
    await come_and_go(target, users, 200)
    memory = memory_kb(target)

    await come_and_go(target, users, 2_000)

    async with asyncio.timeout(10):
        while await left_behind(redis, names, users):
            await asyncio.sleep(0.05)
    assert memory_kb(target) - memory < 2_000 * LESS_THAN_A_CONNECTION_KB


async def test_hundreds_who_leave_in_the_middle_of_coming_leave_nothing_behind(target: Replica, redis: Redis) -> None:
    names, users = Names("attacked"), [someone() for _ in range(60)]

    async def rush(user: str, patience: float) -> None:
        async with knocking(target, "/ws/chat/session/rush", Authorization=f"Bearer {token(user)}") as one:
            await asyncio.sleep(patience)
            one.leave()

    await asyncio.gather(*(rush(user, number % 10 / 5000) for number, user in enumerate(users * 5)))

    async with asyncio.timeout(10):
        while await left_behind(redis, names, users) or await redis.exists(names.here("session:rush")):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def bombed(replica: Replica) -> AsyncIterator[Attacker]:
    bearer = {"Authorization": f"Bearer {token(someone())}"}
    async with knocking(replica, Sec_WebSocket_Extensions="permessage-deflate", **bearer) as attacker:
        await attacker.frame()
        yield attacker


async def test_a_compressed_bomb_explodes_nowhere(redis_url: str) -> None:
    whole = squeezed(b" " * BOMB_BYTES)
    pieces = [whole[at : at + 10_000] for at in range(0, len(whole), 10_000)]
    frames = [masked(0x41, pieces[0]), *(masked(0x00, piece) for piece in pieces[1:-1]), masked(0x80, pieces[-1])]
    bombs = {
        "of one frame": (masked(0xC1, whole), 1009),
        "of fragments": (b"".join(frames), 1009),
        "just too large": (masked(0xC1, squeezed(b" " * 65_537)), 1009),
        "of rubbish": (masked(0xC1, b"\xff" * 1000), 1007),
        "of bad text": (masked(0xC1, squeezed(b"\xff" * 1000)), 1007),
        "on a control frame": (masked(0xC9, squeezed(b"ping")), 1002),
        "in a continuation": (masked(0x41, squeezed(b"{")) + masked(0xC0, squeezed(b"}")), 1002),
    }
    with Replica(redis_url, "attacked", name="compressing", compression="true", lease_seconds=3) as replica:
        async with unharmed(replica):
            for what, (bomb, code) in chain(*([*bombs.items()] for _ in range(10))):
                async with bombed(replica) as attacker:
                    await attacker.send(bomb)
                    assert await attacker.end() == code, what


def squeezed(data: bytes) -> bytes:
    """*data* as permessage-deflate sends it."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeezer.compress(data) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def insist(attacker: Attacker, frames: bytes, times: int) -> None:
    """Send all of it, or until the server has had enough."""
    try:
        for _ in range(times):
            await attacker.send(frames)
    except (ConnectionError, TimeoutError):
        return


async def until_cut(attacker: Attacker, frames: bytes) -> None:
    """Send without reading until the server cuts the connection, as it must."""
    transport = attacker.writer.transport
    async with asyncio.timeout(CLOSED_IN_SECONDS):
        while not transport.is_closing():
            if transport.get_write_buffer_size() < 1_000_000:
                attacker.writer.write(frames)
            await asyncio.sleep(0.01)


async def come_and_go(replica: Replica, users: list[str], times: int) -> None:
    """Connections opened and closed, some with a word and some without, as many at a time as there are users."""

    async def visits(user: str) -> None:
        for number in range(times // len(users)):
            async with attacking(replica, user, "/ws/chat/session/churn") as visitor:
                if number % 2:
                    await visitor.send(masked(0x88, b"\x03\xe8"))
                    assert await visitor.end() == 1000

    await asyncio.gather(*map(visits, users))


async def left_behind(redis: Redis, names: Names, users: list[str]) -> list[str]:
    """What still stands in Redis about users who have all left."""
    pipeline = redis.pipeline(transaction=False)
    for user in users:
        pipeline.exists(names.conns(user))
        pipeline.pubsub_numsub(names.pubsub(f"user:{user}"))
    answers = await pipeline.execute()
    seats, heard = answers[::2], answers[1::2]
    here = await redis.hlen(names.here("session:churn"))
    return [
        *(f"seat of {user}" for user, there in zip(users, seats, strict=True) if there),
        *(f"channel of {user}" for user, [(_, count)] in zip(users, heard, strict=True) if count),
        *([f"{here} in the session"] if here else []),
    ]
