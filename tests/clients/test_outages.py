"""Both clients while replicas are killed and sent away, and while Redis forgets: nothing missed, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

import fairlead
from fairlead.backend.backend import Backend
from tests.clients.drivers import Driver
from tests.support.cable import Cable
from tests.support.nginx import BINARY, Nginx
from tests.support.redis import Server, free_port
from tests.support.replica import Replica, replicas, token

MESSAGES = 150
SECONDS = 60.0
USER = "42"


@pytest.fixture(scope="module")
def outage_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def pair_of_replicas(redis_url: str, outage_prefix: str) -> Iterator[list[Replica]]:
    with replicas(2, redis_url, outage_prefix, rate_messages_per_second=0, lease_seconds=3) as fleet:
        yield fleet


@pytest.fixture
def fleet(pair_of_replicas: list[Replica]) -> list[Replica]:
    """The two, those started again that an earlier scenario has ended."""
    gone = [replica for replica in pair_of_replicas if not replica.is_ready()]
    for replica in gone:
        replica.kill()
        replica.launch()
    for replica in gone:
        replica.wait_ready()
    return pair_of_replicas


@pytest.fixture
async def front(fleet: list[Replica]) -> AsyncIterator[str]:
    """The address of whichever replica is there, the first before the second."""
    async with Cable(*(replica.port for replica in fleet)) as cable:
        yield f"ws://127.0.0.1:{cable.port}/ws"


@pytest.fixture
async def backend(redis_url: str, outage_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=outage_prefix, name="tests") as backend:
        yield backend


async def talk(backend: Backend, user: str, room: str) -> None:
    """Say things to a user and to a session in turn, until all is said."""
    for number in range(1, MESSAGES + 1):
        await backend.send_to_user(user, {"type": "note", "content": number})
        await backend.send_to_session(room, {"type": "note", "content": number})
        await asyncio.sleep(0.005)


def heard(client: Driver, channel: str) -> list[Any]:
    return [one["content"] for one in client.messages(type="note") if one["channel"] == channel]


@pytest.mark.rules("R1", "P1", "P5", "P6", "C1")
@pytest.mark.parametrize("way", ["killed", "drained"])
async def test_a_replica_that_ends_while_messages_flow_costs_none_of_them(
    client: Driver, fleet: list[Replica], front: str, backend: Backend, way: str
) -> None:
    user = room = f"u{uuid4().hex[:10]}"
    await client.make(front, token=token(user))
    await client.hear()
    await client.do("connect")
    first = await client.get("replica")
    await client.do("join", on=f"session:{room}")
    talking = asyncio.create_task(talk(backend, user, room))
    await client.message(SECONDS, content=MESSAGES // 3)

    await asyncio.to_thread(fleet[0].kill if way == "killed" else fleet[0].stop)
    sent = await client.do("send", "still here", on=f"session:{room}", timeout=SECONDS)
    await talking
    for channel in (f"user:{user}", f"session:{room}"):
        if MESSAGES not in heard(client, channel):
            await client.message(SECONDS, content=MESSAGES, channel=channel)

    assert heard(client, f"user:{user}") == heard(client, f"session:{room}") == list(range(1, MESSAGES + 1))
    assert {one["recovered"] for one in client.all("recovered")} == {True}
    assert sent["message_id"].startswith(f"{user}/")
    assert await client.get("replica") != first
    codes = {one["code"] for one in client.all("state") if one["state"] == "waiting"}
    assert codes & ({1006} if way == "killed" else {4200})


@pytest.mark.rules("O1", "R1", "P5")
@pytest.mark.skipif(BINARY is None, reason="nginx is not installed")
async def test_behind_nginx_it_goes_on_elsewhere(client: Driver, fleet: list[Replica], backend: Backend) -> None:
    user, nobody = f"u{uuid4().hex[:10]}", free_port()
    with Nginx([*(replica.port for replica in fleet), nobody]) as nginx:
        await client.make(nginx.url, token=token(user))
        await client.hear()
        await client.do("connect")
        first = await client.get("replica")
        await backend.send_to_user(user, {"type": "note", "content": 1})
        await client.message(content=1)
        await asyncio.to_thread(next(replica.kill for replica in fleet if first.startswith(f"{replica.name}-")))
        await backend.send_to_user(user, {"type": "note", "content": 2})
        await client.message(SECONDS, content=2)
        second = await client.get("replica")
        await client.do("close")

    assert heard(client, f"user:{user}") == [1, 2]
    assert second != first


@pytest.mark.rules("P4", "P5")
async def test_when_redis_has_forgotten_the_application_is_told(client: Driver, own_server: Server) -> None:
    with Replica(own_server.url, "fl", name="r1") as replica:
        async with fairlead.connect(own_server.url, prefix="fl", name="tests") as backend:
            await client.make(replica.url, token=token(USER))
            await client.hear()
            await client.do("connect")
            await backend.send_to_user(USER, {"type": "note", "content": 1})
            await client.message(content=1)
            before = (await client.get("positions"))[f"user:{USER}"]["epoch"]
            await asyncio.to_thread(own_server.restart)
            await asyncio.to_thread(replica.wait_ready)
            await backend.send_to_user(USER, {"type": "note", "content": 2})
            told = await client.until("recovered", SECONDS, channel=f"user:{USER}")
            await backend.send_to_user(USER, {"type": "note", "content": 3})
            await client.message(SECONDS, content=3)

    assert told["recovered"] is False
    assert (await client.get("positions"))[f"user:{USER}"]["epoch"] != before
    assert set(heard(client, f"user:{USER}")) >= {1, 3}
    assert len(heard(client, f"user:{USER}")) == len(set(heard(client, f"user:{USER}")))


@pytest.mark.rules("P5", "P7")
async def test_who_comes_back_after_redis_has_forgotten_is_told(client: Driver, own_server: Server) -> None:
    with Replica(own_server.url, "fl", name="r1") as replica:
        held = {f"user:{USER}": {"offset": 12, "epoch": "6f1c.9a2b"}}
        await client.make(replica.url, token=token(USER), positions=held)
        await client.do("connect")

        assert (await client.until("recovered"))["recovered"] is False
        assert (await client.get("positions")).get(f"user:{USER}", {}).get("epoch") != "6f1c.9a2b"
