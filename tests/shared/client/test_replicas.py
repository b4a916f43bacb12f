"""The client and real replicas: what only they know together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest

import fairlead
from fairlead import Backend, Client, ClientError, Recovery, TooLarge
from fairlead.client.whole import MAX_NAMED
from tests.support.cable import Cable
from tests.support.replica import Replica, replicas, token

SECONDS = 20.0


@pytest.fixture(scope="module")
def fleet_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def replica(redis_url: str, fleet_prefix: str) -> Iterator[Replica]:
    limits = {"rate_messages_per_second": 0, "max_channels_per_connection": 400}
    with replicas(1, redis_url, fleet_prefix, **limits) as fleet:
        yield fleet[0]


@pytest.fixture
async def backend(redis_url: str, fleet_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=fleet_prefix, name="tests") as backend:
        yield backend


@pytest.fixture
async def cable(replica: Replica) -> AsyncIterator[Cable]:
    async with Cable(replica.port) as cable:
        yield cable


@pytest.fixture
def user() -> str:
    return f"u{uuid4().hex[:10]}"


def client(url: str, user: str, **options: object) -> Client:
    quick = {"token": token(user), "backoff_min": 0.05, "backoff_max": 0.3}
    return Client(url, **{**quick, **options})  # type: ignore[arg-type]


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not check():
            await asyncio.sleep(0.01)


async def test_more_channels_than_a_frame_may_name_are_all_heard_again(
    cable: Cable, backend: Backend, user: str
) -> None:
    count = 2 * MAX_NAMED + 20
    names = [f"{user}-{number}" for number in range(count)]
    heard: list[str] = []
    recovered: dict[str, Recovery] = {}
    one = client(f"ws://127.0.0.1:{cable.port}/ws", user)
    one.on("note", lambda message: heard.append(message["channel"]))
    one.on_recovered(lambda recovery: recovered.update({recovery.channel: recovery}))
    async with one:
        for start in range(0, count, 60):
            await one.subscribe(*(f"instance:{name}" for name in names[start : start + 60]))
        cable.cut()
        for name in names:
            await backend.send_to_instance(name, {"type": "note"})
        await until(lambda: len(heard) == count)
        for name in names:
            await backend.send_to_instance(name, {"type": "note"})
        await until(lambda: len(heard) == 2 * count)

    assert sorted(set(heard)) == sorted(f"instance:{name}" for name in names)
    assert set(recovered) == {f"user:{user}", *heard}
    assert all(recovery.recovered for recovery in recovered.values())


async def test_what_is_asked_while_away_is_said_when_all_channels_are_heard_again(cable: Cable, user: str) -> None:
    rooms = [f"{user}-{number}" for number in range(MAX_NAMED + 20)]
    async with client(f"ws://127.0.0.1:{cable.port}/ws", user) as one:
        for room in rooms:
            await one.session(room).join()
        cable.cut()
        await until(lambda: one.state != "open")
        sent = await asyncio.gather(*(one.session(room).send("hi") for room in rooms[-10:]))

    assert [reply["type"] for reply in sent] == ["reply"] * 10


async def test_a_device_goes_on_at_its_cursor(replica: Replica, backend: Backend, user: str) -> None:
    heard: list[int] = []
    async with client(replica.url, user, device_id="phone") as first:
        sent = await backend.send_to_user(user, {"type": "note", "content": 1})
        message = await anext(first.messages("note")) if not heard else {}
        await first.request("ack", {"channel": f"user:{user}", "offset": sent.offset, "epoch": sent.epoch})
    await backend.send_to_user(user, {"type": "note", "content": 2})
    await backend.send_to_user(user, {"type": "note", "content": 3})
    second = client(replica.url, user, device_id="phone")
    second.on("note", lambda message: heard.append(message["content"]))
    async with second:
        await until(lambda: len(heard) == 2)
        position = second.positions[f"user:{user}"]

    assert (message["content"], heard, position.offset) == (1, [2, 3], 3)


async def test_what_is_too_large_is_told_and_not_said_again(replica: Replica, user: str) -> None:
    async with client(replica.url, user) as one:
        with pytest.raises(TooLarge):
            await one.message(f"user:{user}", "x" * 100_000)
        assert (await one.request("ping"))["type"] == "pong"


async def test_who_sends_is_told_once_that_it_was_heard_though_the_line_broke(
    cable: Cable, backend: Backend, user: str
) -> None:
    heard: list[str] = []
    one = client(f"ws://127.0.0.1:{cable.port}/ws", user)
    one.on("note", lambda message: heard.append(message["content"]))
    async with one:
        cable.cut()
        receipt = await backend.send_to_user(user, {"type": "note", "content": "hi"}, requires_ack=True, ack_timeout=15)

    assert (receipt.status, heard) == ("delivered", ["hi"])


async def test_positions_of_somebody_else_are_forbidden(replica: Replica, user: str) -> None:
    told: list[Recovery] = []
    one = client(replica.url, user, positions={"user:somebody": {"offset": 7, "epoch": "e.1"}})
    one.on_recovered(told.append)
    async with one:
        await one.request("ping")
        await until(lambda: told)

        assert told == [Recovery("user:somebody", recovered=False, code="forbidden")]
        assert set(one.positions) == {f"user:{user}"}


async def test_without_a_token_it_is_told_so(replica: Replica) -> None:
    one = Client(replica.url)
    with pytest.raises(ClientError) as caught:
        await one.connect()

    assert (caught.value.code, caught.value.detail) == ("token_expired", {"close": 4401})


async def test_a_path_may_be_a_session(cable: Cable, backend: Backend, user: str) -> None:
    heard: list[str] = []
    one = client(f"ws://127.0.0.1:{cable.port}/ws/chat/session/{user}", user)
    one.session(user).on("note", lambda message: heard.append(message["content"]))
    async with one:
        cable.cut()
        await backend.send_to_session(user, {"type": "note", "content": "while away"})
        await until(lambda: heard)
        await backend.send_to_session(user, {"type": "note", "content": "again"})
        await until(lambda: len(heard) == 2)

    assert heard == ["while away", "again"]


async def test_a_slow_handler_has_all_of_it_in_order(cable: Cable, backend: Backend, user: str) -> None:
    heard: list[int] = []
    one = client(f"ws://127.0.0.1:{cable.port}/ws", user)

    async def slowly(message: dict[str, int]) -> None:
        await asyncio.sleep(0)
        heard.append(message["content"])

    one.on("note", slowly)
    async with one:
        for number in range(500):
            await backend.send_to_user(user, {"type": "note", "content": number})
            if number in (100, 300):
                cable.cut()
        await until(lambda: len(heard) == 500)

    assert heard == list(range(500))
