"""Messages that must be acknowledged, across replicas, deaths and outages: one outcome, the same for all (RT-5)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from fairlead.publishing.acks import look, record, standing
from fairlead.publishing.sent import Outcome
from fairlead.redis.calls import run
from tests.support.client import Client, client, connected
from tests.support.redis import Server
from tests.support.replica import Replica, environment, replicas

HELLO = {"type": "hello", "content": {"n": 1}}


async def acknowledge(client: Client, *message_ids: str, **fields: Any) -> dict[str, str]:
    """What *client* is told about each id that it acknowledges."""
    answer = await client.ask("ack", message_ids=list(message_ids), **fields)
    acknowledged: dict[str, str] = answer["acknowledged"]
    return acknowledged


@asynccontextmanager
async def sending(backend: Backend, user: str, **options: Any) -> AsyncIterator[asyncio.Task[fairlead.Sent]]:
    """A message to *user* under way, which waits for its acknowledgement."""
    task = asyncio.create_task(backend.send_to_user(user, HELLO, requires_ack=True, **options))
    try:
        yield task
    finally:
        task.cancel()


async def test_a_backend_learns_that_a_user_on_another_machine_has_it(fleet: list[Replica], backend: Backend) -> None:
    async with connected(fleet[0].url, "anna") as anna, sending(backend, "anna") as sent:
        message = await anna.until("hello")
        assert message["requires_ack"] is True

        told = await acknowledge(anna, message["id"])
        receipt = await sent

    assert told == {message["id"]: "delivered"}
    assert (receipt.status, receipt.offset, receipt.id) == ("delivered", message["offset"], message["id"])
    assert receipt.acknowledged_by == ("anna", "", anna.frames[0]["connection_id"])


async def test_a_backend_learns_that_nobody_has_it_and_so_does_who_comes_too_late(
    fleet: list[Replica], backend: Backend
) -> None:
    async with connected(fleet[0].url, "bob") as bob:
        receipt = await backend.send_to_user("bob", HELLO, requires_ack=True, ack_timeout=0.5)

        assert (receipt.status, receipt.acknowledged_by) == ("expired", None)
        assert await acknowledge(bob, receipt.id) == {receipt.id: "expired"}
    again = await backend.send_to_user("bob", HELLO, message_id=receipt.id, requires_ack=True)
    assert (again.status, again.offset, again.duplicate) == ("expired", receipt.offset, True)


async def test_what_is_not_acknowledged_comes_again_and_the_second_copy_counts(
    fleet: list[Replica], backend: Backend
) -> None:
    async with connected(fleet[1].url, "cleo") as cleo, sending(backend, "cleo", ack_timeout=1.5) as sent:
        first, second = await cleo.until("hello"), await cleo.until("hello")
        told = await acknowledge(cleo, second["id"])
        receipt = await sent
        await cleo.silent(1.0)

    assert (second["id"], second["attempt"], second["requires_ack"]) == (first["id"], 2, True)
    assert ("attempt" in first, "offset" in second) == (False, False)
    assert second["content"] == first["content"]
    assert (told, receipt.status) == ({first["id"]: "delivered"}, "delivered")


async def test_two_devices_on_two_replicas_race_and_everybody_sees_one_outcome(
    fleet: list[Replica], backend: Backend, redis: Redis, fleet_prefix: str
) -> None:
    async with connected(fleet[0].url, "dora") as one, connected(fleet[1].url, "dora") as other:
        ids = [device.frames[0]["connection_id"] for device in (one, other)]
        for _ in range(50):
            async with sending(backend, "dora") as sent:
                messages = [await device.until("hello") for device in (one, other)]
                message_id = messages[0]["id"]

                told = await asyncio.gather(*(acknowledge(device, message_id) for device in (one, other)))
                receipt = await sent

            said = [answer[message_id] for answer in told]
            assert sorted(said) == ["delivered", "duplicate"]
            assert receipt.acknowledged_by is not None
            assert receipt.acknowledged_by.connection_id == ids[said.index("delivered")]
            kept = standing(await run(redis, *look(record(Names(fleet_prefix), "user:dora", message_id)))).outcome
            assert kept == Outcome("delivered", receipt.acknowledged_by)


async def test_about_the_deadline_client_and_sender_are_told_the_same(fleet: list[Replica], backend: Backend) -> None:
    statuses = set()
    async with connected(fleet[0].url, "emil") as emil:
        for n in range(30):
            seconds = 0.1
            async with sending(backend, "emil", ack_timeout=seconds) as sent:
                message = await emil.until(lambda frame: frame["type"] == "hello" and "offset" in frame)
                await asyncio.sleep(seconds - 0.06 + 0.0025 * n)
                told = await acknowledge(emil, message["id"])
                receipt = await sent

            assert told == {message["id"]: receipt.status}
            statuses.add(receipt.status)
    assert statuses == {"delivered", "expired"}


async def test_a_replica_that_dies_before_the_acknowledgement_costs_nothing(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, lease_seconds=3) as (first, second):
        async with fairlead.connect(redis_url, prefix=prefix) as backend, sending(backend, "finn") as sent:
            async with connected(first.url, "finn") as finn:
                message = await finn.until("hello")
                first.kill()
                await finn.closed()
            async with connected(second.url, "finn") as finn:
                told = await acknowledge(finn, message["id"])
                receipt = await sent

    assert told == {message["id"]: "delivered"}
    assert (receipt.status, receipt.id) == ("delivered", message["id"])


async def test_a_user_who_was_away_gets_it_on_coming_back_and_acknowledges_then(
    fleet: list[Replica], backend: Backend
) -> None:
    before = await backend.send_to_user("kim", {"type": "before"})
    async with sending(backend, "kim", ack_timeout=10) as sent, client(fleet[1].url + "?wait=connect", "kim") as kim:
        await kim.say("connect", recover={"user:kim": {"offset": before.offset, "epoch": before.epoch}})
        missed = await kim.until(lambda frame: frame["type"] == "hello" and "offset" in frame)
        told = await acknowledge(kim, missed["id"])
        receipt = await sent

    assert (missed["requires_ack"], missed["offset"]) == (True, before.offset + 1)
    assert (told, receipt.status) == ({missed["id"]: "delivered"}, "delivered")


async def test_an_outage_of_redis_in_between_gives_no_false_outcome(prefix: str) -> None:
    with (
        Server("--appendonly", "yes", "--appendfsync", "always") as server,
        replicas(1, server.url, prefix) as (replica,),
    ):
        async with (
            fairlead.connect(server.url, prefix=prefix) as backend,
            connected(replica.url, "gil") as gil,
            sending(backend, "gil", ack_timeout=6) as in_time,
        ):
            message = await gil.until("hello")
            server.stop()
            refused = await gil.ask("ack", message_ids=[message["id"]])
            await asyncio.sleep(1)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(5):
                while (answer := await gil.ask("ack", message_ids=[message["id"]]))["type"] == "error":
                    assert answer["code"] == "unavailable"
                    await asyncio.sleep(0.05)
            receipt = await in_time

            assert refused["code"] == "unavailable"
            assert answer["acknowledged"] == {message["id"]: "delivered"}
            assert receipt.status == "delivered"

            async with asyncio.timeout(10):
                while (await backend.send_to_user("gil", {"type": "knock"})).receivers == 0:
                    await asyncio.sleep(0.05)
            async with sending(backend, "gil", ack_timeout=0.5) as too_late:
                await gil.until(lambda frame: frame["type"] == "hello" and frame["id"] != message["id"])
                server.stop()
                await asyncio.sleep(1)
                await asyncio.to_thread(server.start)
                assert (await too_late).status == "expired"


async def test_who_comes_back_waits_for_what_the_one_before_had_sent(
    fleet: list[Replica], redis_url: str, fleet_prefix: str
) -> None:
    async with connected(fleet[0].url, "hugo") as hugo:
        async with fairlead.connect(redis_url, prefix=fleet_prefix) as before, sending(before, "hugo") as sent:
            message = await hugo.until("hello")
            sent.cancel()
        async with (
            fairlead.connect(redis_url, prefix=fleet_prefix) as after,
            sending(after, "hugo", message_id=message["id"]) as again,
        ):
            await hugo.until(lambda frame: frame["id"] == message["id"] and frame.get("attempt") == 2)
            await acknowledge(hugo, message["id"])
            receipt = await again
            known = await after.send_to_user("hugo", HELLO, message_id=message["id"], requires_ack=True)

    assert (receipt.status, receipt.duplicate, receipt.offset) == ("delivered", True, message["offset"])
    assert known == receipt


async def test_a_blocking_backend_learns_it_too(fleet: list[Replica], redis_url: str, fleet_prefix: str) -> None:
    def send() -> list[fairlead.Sent]:
        with fairlead.connect_sync(redis_url, prefix=fleet_prefix) as fl:
            options: Any = {"requires_ack": True, "ack_timeout": 2}
            return [fl.send_to_user("ida", HELLO, **options), fl.send_to_user("nobody-home", HELLO, **options)]

    async with connected(fleet[1].url, "ida") as ida:
        sent = asyncio.create_task(asyncio.to_thread(send))
        message = await ida.until("hello")
        await acknowledge(ida, message["id"])
        receipts = await sent

    assert [receipt.status for receipt in receipts] == ["delivered", "expired"]
    assert receipts[0].acknowledged_by is not None and receipts[0].acknowledged_by.user_id == "ida"


async def test_the_command_line_waits_and_ends_with_what_became_of_it(
    fleet: list[Replica], redis_url: str, fleet_prefix: str
) -> None:
    async with connected(fleet[0].url, "jan") as jan:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fairlead_gateway", "send", "user:jan", json.dumps(HELLO)),
            *("--ack", "--ack-timeout", "10", "--json"),
            env=environment(redis_url=redis_url, prefix=fleet_prefix),
            stdout=asyncio.subprocess.PIPE,
        )
        message = await jan.until("hello", 30)
        await acknowledge(jan, message["id"])
        async with asyncio.timeout(20):
            out, _ = await process.communicate()

    facts = json.loads(out)
    assert process.returncode == 0
    assert (facts["id"], facts["status"], facts["acknowledged_by"]["user_id"]) == (message["id"], "delivered", "jan")
