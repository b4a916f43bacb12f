"""From any backend to any user, through several replica processes (RT-1, RT-2, RT-6)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from tests.support.client import client, connected
from tests.support.replica import Replica, environment


async def test_a_backend_reaches_a_user_on_whatever_replica(fleet: list[Replica], backend: Backend) -> None:
    async with connected(fleet[0].url, "anna") as first, connected(fleet[1].url, "anna") as second:
        sent = await backend.send_to_user("anna", {"type": "hello", "content": {"n": 1}})

        for device in (first, second):
            frame = await device.until("hello")
            assert (frame["id"], frame["offset"], frame["channel"]) == (sent.id, sent.offset, "user:anna")
            assert (frame["from"], frame["content"]) == ("service:tests", {"n": 1})
        assert sent.receivers == 2


async def test_every_destination_reaches_exactly_its_members(fleet: list[Replica], backend: Backend) -> None:
    async with connected(fleet[0].url, "bob") as bob, connected(fleet[1].url, "cleo") as cleo:
        await bob.ask("join_session", session_id="s-all")
        await bob.ask("subscribe", channels=["topic:prices", "instance:counter"])
        cleo_id = cleo.frames[0]["connection_id"]

        await backend.send_to_session("s-all", {"type": "to_session"})
        await backend.send_to_topic("prices", {"type": "to_topic"})
        await backend.send_to_instance("counter", {"type": "to_instance"})
        await backend.send_to_connection(cleo_id, {"type": "to_connection"})
        await backend.broadcast({"type": "to_all"})

        await asyncio.gather(bob.until("to_all"), cleo.until("to_all"))
        names = {"to_session", "to_topic", "to_instance", "to_connection", "to_all"}
        heard = [{frame["type"] for frame in who.frames} & names for who in (bob, cleo)]
        assert heard == [names - {"to_connection"}, {"to_connection", "to_all"}]


async def test_what_one_client_says_reaches_the_other_replica_in_order(fleet: list[Replica]) -> None:
    async with connected(fleet[0].url, "dora") as dora, connected(fleet[1].url, "emil") as emil:
        for who in (dora, emil):
            await who.ask("join_session", session_id="s-talk")

        for number in range(200):
            await dora.say("message", session_id="s-talk", content=number)
        heard = [await emil.until("new_message") for _ in range(200)]

        assert [frame["content"] for frame in heard] == list(range(200))
        offsets = [frame["offset"] for frame in heard]
        assert offsets == list(range(offsets[0], offsets[0] + 200))


async def test_the_sender_hears_only_the_reply_and_the_reply_has_the_offset(fleet: list[Replica]) -> None:
    async with connected(fleet[0].url, "finn") as finn, connected(fleet[1].url, "finn") as other_device:
        for who in (finn, other_device):
            await who.ask("join_session", session_id="s-own")

        reply = await finn.ask("message", content="hi")
        copy = await other_device.until("new_message")

        assert (reply["message_id"], reply["offset"]) == (copy["id"], copy["offset"])
        await finn.ask("ping_after", content="x")
        assert all(frame["type"] != "new_message" for frame in finn.frames)


async def test_two_replicas_agree_on_the_epoch_and_offset_of_a_channel(fleet: list[Replica], backend: Backend) -> None:
    sent = await backend.send_to_user("gil", {"type": "before"})

    async with connected(fleet[0].url, "gil") as first, connected(fleet[1].url, "gil") as second:
        positions = [who.frames[0]["channels"]["user:gil"] for who in (first, second)]

    assert positions == [{"offset": sent.offset, "epoch": sent.epoch}] * 2


async def test_a_channel_is_subscribed_to_only_while_a_socket_needs_it(
    fleet: list[Replica], redis: Redis, fleet_prefix: str
) -> None:
    name = Names(fleet_prefix).pubsub("user:hugo")

    async def subscribers() -> int:
        return int((await redis.pubsub_numsub(name))[0][1])

    async with connected(fleet[0].url, "hugo"):
        during = await subscribers()
    async with asyncio.timeout(5):
        while await subscribers():
            await asyncio.sleep(0.05)

    assert during == 1


async def test_any_language_sends_through_the_stream(fleet: list[Replica], redis: Redis, fleet_prefix: str) -> None:
    async with connected(fleet[1].url, "ida") as ida:
        ingress = Names(fleet_prefix).ingress
        await redis.xadd(ingress, {"to": "user:ida", "message": '{"type":"from_shell","content":1}'})
        await redis.xadd(ingress, {"to": "nobody", "message": "{}"})

        assert (await ida.until("from_shell"))["offset"] >= 1
        async with asyncio.timeout(10):
            while not (rejected := await redis.xrange(Names(fleet_prefix).ingress_rejected)):
                await asyncio.sleep(0.05)
    assert rejected[0][1][b"to"] == b"nobody"


async def test_any_language_publishes_plain_json_at_most_once(
    fleet: list[Replica], redis: Redis, fleet_prefix: str
) -> None:
    async with connected(fleet[0].url, "jan") as jan:
        name = Names(fleet_prefix).pubsub("user:jan")
        for garbage in (b"", b"{", b"\x93\x01", b"\x97" + b"\x00" * 7, b"\xc1", b'{"no":"type"}', b'{"type":7}'):
            await redis.publish(name, garbage)
        await redis.publish(name, '{"type":"plain","content":"ü"}')

        frame = await jan.until("plain")

    assert frame["content"] == "ü" and frame["channel"] == "user:jan" and "offset" not in frame
    assert len(jan.frames) == 2


async def test_the_command_line_sends_to_a_user(fleet: list[Replica], redis_url: str, fleet_prefix: str) -> None:
    async with connected(fleet[0].url, "kim") as kim:
        command = [sys.executable, "-m", "fairlead_gateway", "--", "send", "user:kim", '{"type":"hello"}', "--json"]
        command.remove("--")
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=environment(redis_url=redis_url, prefix=fleet_prefix),
            capture_output=True,
            timeout=30,
            check=False,
        )

        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["receivers"] == 1
        assert (await kim.until("hello"))["channel"] == "user:kim"


async def test_a_blocking_backend_reaches_a_user(fleet: list[Replica], redis_url: str, fleet_prefix: str) -> None:
    def send() -> fairlead.Sent:
        with fairlead.connect_sync(redis_url, prefix=fleet_prefix) as fl:
            return fl.send_to_user("lea", {"type": "from_celery"})

    async with connected(fleet[1].url, "lea") as lea:
        sent = await asyncio.to_thread(send)

        assert (await lea.until("from_celery"))["offset"] == sent.offset


@pytest.mark.parametrize("path", ["/ws/chat/session/s-9", "/ws/instance/board"])
async def test_a_path_puts_the_connection_where_it_says(fleet: list[Replica], backend: Backend, path: str) -> None:
    channel = "session:s-9" if "session" in path else "instance:board"
    async with connected(fleet[0].http.replace("http", "ws") + path, "mia") as mia:
        assert channel in mia.frames[0]["channels"]

        await backend.send(channel, {"type": "there"})

        assert (await mia.until("there"))["channel"] == channel


async def test_a_session_that_is_not_granted_is_refused_and_one_that_is_opens(
    fleet: list[Replica], backend: Backend
) -> None:
    url = fleet[0].http.replace("http", "ws") + "/ws/chat/session/s-locked"
    async with client(url, "nils", sessions=["other"]) as nils:
        code, reason = await nils.closed()
    await backend.grant_session("s-locked", ["nils"])

    async with connected(url, "nils", sessions=["other"]) as nils:
        assert nils.frames[0]["session_id"] == "s-locked"
    assert (code, reason.partition(":")[0]) == (4403, "forbidden")
