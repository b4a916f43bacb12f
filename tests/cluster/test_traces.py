"""One message is followed by its id over replicas, and through Redis (RT-8)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from redis.asyncio import Redis

from fairlead.backend.backend import Backend
from fairlead.names import Names
from tests.support.client import client, connected
from tests.support.replica import Replica, token
from tests.support.rest import Rest, rest

SECONDS = 10.0


async def traced(api: Rest, id: str, *wanted: str, **query: Any) -> list[dict[str, Any]]:
    """The steps of a message, once they hold all *wanted* stations."""
    async with asyncio.timeout(SECONDS):
        while True:
            found = await api.get(f"/messages/{id}/trace", **query)
            stations = {step["station"] for step in found["steps"]}
            if stations >= set(wanted):
                assert found["silent"] == [] and found["note"]
                return list(found["steps"])
            await asyncio.sleep(0.05)


def stations(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Replica (without what is unique to its start) and station of each step."""
    return [(step["replica"].partition("-")[0], step["station"]) for step in steps]


async def test_a_clients_message_is_followed_from_socket_to_socket(fleet: list[Replica]) -> None:
    async with connected(fleet[0].url, "ann") as ann, connected(fleet[1].url, "bob") as bob, rest(fleet[1]) as api:
        reply = await ann.ask("message", to="user:bob", content="hello", message_id="hello/1")
        heard = await bob.until("new_message")
        await bob.ask("ack", channel="user:bob", offset=heard["offset"], epoch=reply["epoch"])

        steps = await traced(api, "ann/hello/1", "received", "published", "relayed", "acknowledged", "kept")

    assert reply["message_id"] == heard["id"] == "ann/hello/1"
    by_station = {step["station"]: step for step in steps}
    assert ("r1", "received") in stations(steps) and ("r1", "published") in stations(steps)
    assert ("r2", "relayed") in stations(steps) and ("r2", "acknowledged") in stations(steps)
    assert by_station["received"]["user_id"] == "ann" and by_station["received"]["action"] == "message"
    assert by_station["published"]["offset"] == by_station["relayed"]["offset"] == heard["offset"]
    assert by_station["relayed"]["sockets"] == 1 and by_station["published"]["receivers"] == 1
    assert by_station["acknowledged"]["user_id"] == "bob"
    assert (by_station["kept"]["replica"], by_station["kept"]["from"]) == ("redis", "user:ann")
    times = [step["at"] for step in steps if step["at"]]
    assert times == sorted(times)
    assert "hello" not in {str(value) for step in steps for value in step.values()}


async def test_what_a_backend_sends_is_seen_from_the_relay_on_and_by_whom_it_was_acknowledged(
    fleet: list[Replica], backend: Backend
) -> None:
    async with connected(fleet[1].url, "cat") as cat, rest(fleet[0]) as api:
        sending = asyncio.ensure_future(backend.send_to_user("cat", {"type": "hello"}, requires_ack=True))
        heard = await cat.until("hello")
        await cat.ask("ack", channel="user:cat", message_ids=[heard["id"]])
        await sending
        steps = await traced(api, heard["id"], "relayed", "acknowledged", "kept")

    assert ("redis", "acknowledged") in stations(steps) and ("r2", "acknowledged") in stations(steps)
    assert not {"received", "published"} & {step["station"] for step in steps}
    told = [step for step in steps if step["station"] == "acknowledged"]
    assert {(step["user_id"], step["result"]) for step in told} == {("cat", "delivered")}


async def test_a_replay_to_who_comes_back_elsewhere_is_a_step(fleet: list[Replica], backend: Backend) -> None:
    async with connected(fleet[0].url, "dog") as dog:
        first = await backend.send_to_user("dog", {"type": "hello"})
        await dog.until("hello")
    missed = await backend.send_to_user("dog", {"type": "missed"})
    position = {"user:dog": {"offset": first.offset, "epoch": first.epoch}}
    async with client(fleet[1].url) as dog, rest(fleet[0]) as api:
        await dog.say("connect", token=token("dog"), recover=position)
        assert (await dog.until("missed"))["id"] == missed.id
        steps = await traced(api, missed.id, channel="user:dog")

    assert set(stations(steps)) >= {("redis", "kept"), ("r2", "replayed")}
    assert {step["sockets"] for step in steps if step["station"] == "relayed"} <= {0}


async def test_what_waits_in_the_ingress_or_lies_in_a_history_is_found_there(
    fleet: list[Replica], backend: Backend, fleet_prefix: str, redis: Redis
) -> None:
    names = Names(fleet_prefix)
    sent = await backend.send_to_user("nobody", {"type": "hello"})
    await redis.xadd(names.ingress, {"to": "user:nobody", "message": json.dumps({"type": "x", "id": "posted-1"})})
    async with rest(fleet[0]) as api:
        kept = await traced(api, sent.id, "kept", channel="user:nobody")
        posted = await traced(api, "posted-1", "published", "kept")

    assert stations(kept) == [("redis", "kept")]
    assert {step["channel"] for step in posted} == {"user:nobody"}


async def test_an_id_that_nobody_knows_is_said_to_be_unknown(fleet: list[Replica]) -> None:
    async with rest(fleet[0]) as api:
        found = await api.get("/messages/never/said/trace")

        assert (found["id"], found["steps"]) == ("never/said", [])
        assert "Nothing is known" in found["note"]
        assert await api.refused("GET", f"/messages/{'x' * 129}/trace") == (422, "invalid_message")
        assert await api.refused("GET", "/messages/%1b[2J/trace") == (422, "invalid_message")
        assert await api.refused("GET", "/messages/m/trace", channel="nowhere") == (422, "invalid_message")
    async with rest(fleet[0], role="") as api:
        assert await api.refused("GET", "/messages/m/trace") == (403, "forbidden")
