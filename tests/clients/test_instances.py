"""Mirrors of documents: rules I1 and I2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.drivers import Driver, Fault
from tests.clients.scripted import OWN, Frame, Line, Scripted, at

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "patches.json").read_text())
NAME = "instance:i1"


def snapshot(document: Any, version: int) -> Frame:
    return {"type": "snapshot", "instance": "i1", "channel": NAME, "document": document, "version": version}


def patch(version: int, offset: int, changes: Frame | None = None, **more: Any) -> Frame:
    body = {"type": "patch", "instance": "i1", "channel": NAME, "id": f"p-{offset}", "offset": offset}
    changes = {f"v{version}": version} if changes is None else changes
    return {**body, "patch": changes, "base_version": version - 1, "version": version, **more}


async def opened(client: Driver, gateway: Scripted, document: Any, version: int) -> Line:
    """A client that follows the document; its channel stands at 10."""
    await client.make(gateway.url)
    await client.watch("i1")
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    opening = client.begin("open", on=NAME)
    asked = await line.hears("subscribe")
    assert asked["channels"] == [NAME]
    await line.reply(asked, channels={NAME: at(10)})
    assert await client.get("document", on=NAME) in (None, {})
    await line.say(snapshot(document, version))
    await opening
    return line


async def state(client: Driver) -> tuple[Any, int]:
    return await client.get("document", on=NAME), await client.get("version", on=NAME)


@pytest.mark.rules("I1")
async def test_it_applies_the_next_patch_and_drops_what_it_has(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, {"a": 1}, 6)
    await line.say(patch(7, 11, {"b.c": 2}, patch_id="w1"), patch(6, 12), patch(7, 13), patch(8, 14, {}, unset=["a"]))
    await client.until("change", version=8)

    assert await state(client) == ({"b": {"c": 2}}, 8)
    changes = [(one["version"], one["patch"], one["document"]) for one in client.all("change")]
    assert changes == [
        (6, None, {"a": 1}),
        (7, {"b.c": 2}, {"a": 1, "b": {"c": 2}}),
        (8, {}, {"b": {"c": 2}}),
    ]
    assert client.all("change")[1]["patch_id"] == "w1"
    assert client.all("change")[2]["unset"] == ["a"]


@pytest.mark.rules("I1")
async def test_a_hole_is_closed_by_asking_for_the_state(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, {}, 6)
    await line.say(patch(7, 11), patch(9, 12))
    asked = await line.hears("get_state")
    await line.say(patch(10, 13), patch(11, 14))
    await client.until("frame", way="in", frame=patch(11, 14))
    await line.reply(asked, **{name: value for name, value in snapshot({"w": 10}, 10).items() if name != "type"})
    await client.until("change", version=11)
    await line.say(patch(12, 15))
    await client.until("change", version=12)

    assert asked["channel"] == NAME
    assert await state(client) == ({"w": 10, "v11": 11, "v12": 12}, 12)
    assert [(one["version"], one["patch"]) for one in client.all("change")] == [
        (6, None),
        (7, {"v7": 7}),
        (10, None),
        (11, {"v11": 11}),
        (12, {"v12": 12}),
    ]
    assert len(line.actions("get_state")) == 1


@pytest.mark.rules("I1", "P5")
async def test_history_that_ran_out_is_made_good_by_the_state(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, {"a": 1}, 6)
    line.reset()
    back = await gateway.next()
    assert (await back.hears("connect"))["recover"][NAME] == at(10)
    told = {OWN: at(0, recovered=True), NAME: at(2, "e.2", recovered=False)}
    gateway.manners["get_state"] = lambda said: {"instance": "i1", "channel": NAME, "document": {"b": 2}, "version": 3}
    await back.greet(snapshot({"b": 2}, 3), channels=told)
    await client.until("change", version=3)
    await back.say(patch(4, 3))
    await client.until("change", version=4)

    assert await state(client) == ({"b": 2, "v4": 4}, 4)
    assert (await client.until("recovered", channel=NAME))["recovered"] is False


@pytest.mark.rules("I1", "C1")
async def test_what_was_closed_is_followed_no_more(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, {"a": 1}, 6)
    closing = client.begin("close", on=NAME)
    await line.reply(await line.hears("unsubscribe"), channels=[NAME])
    await closing
    line.reset()
    back = await gateway.next()

    assert NAME not in (await back.hears("connect")).get("recover", {})


@pytest.mark.rules("I1")
async def test_applying_means_what_the_vectors_say(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, {}, 0)
    version, offset = 0, 10
    for vector in VECTORS:
        if "result" in vector:
            version += 2
            offset += 2
            change = patch(version, offset, vector["patch"], unset=vector.get("unset", []))
            await line.say(
                snapshot(vector["document"], version - 1) | {"id": f"s-{offset}", "offset": offset - 1}, change
            )
            told = await client.until("change", version=version)
            assert told["document"] == vector["result"], vector["name"]


@pytest.mark.rules("I2")
async def test_ones_own_patch_is_shown_in_its_place_and_not_before(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, {"n": 0}, 6)
    patching = client.begin("patch", {"n": 1}, on=NAME, base_version=6)
    asked = await line.hears("patch")
    await line.reply(asked, instance="i1", channel=NAME, version=8, offset=12, epoch="e.1")
    assert (await patching)["version"] == 8
    assert await state(client) == ({"n": 0}, 6)
    await line.say(patch(7, 11, {"n": 5, "other": True}), patch(8, 12, {"n": 1}, patch_id=asked["patch_id"]))
    await client.until("change", version=8)

    assert (asked["instance"], asked["patch"], asked["base_version"]) == ("i1", {"n": 1}, 6)
    assert await state(client) == ({"n": 1, "other": True}, 8)


@pytest.mark.rules("I1", "A2")
async def test_opening_waits_for_the_document_across_connections(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    await client.watch("i1")
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    opening = client.begin("open", on=NAME)
    await line.hears("subscribe")
    line.reset()
    gateway.manners["subscribe"] = lambda said: {"channels": {NAME: at(10)}}
    back = await gateway.next()
    first = await back.hears("connect")
    come_back = {name: at(10, recovered=False) for name in first["recover"]}
    await back.greet(*([snapshot({"a": 1}, 1)] if NAME in come_back else []), channels=come_back)
    if NAME not in come_back:
        await back.say(snapshot({"a": 1}, 1))
    await opening

    assert await state(client) == ({"a": 1}, 1)


@pytest.mark.rules("I1")
async def test_an_answer_that_is_behind_what_is_known_by_then_is_dropped(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, {}, 6)
    await line.say(patch(8, 11))
    asked = await line.hears("get_state")
    await line.say(snapshot({"new": 9}, 9) | {"id": "s-12", "offset": 12}, patch(10, 13))
    await client.until("change", version=10)
    await line.reply(asked, instance="i1", channel=NAME, document={"v8": 8}, version=8)
    await line.say(patch(11, 14))
    await client.until("change", version=11)

    assert await state(client) == ({"new": 9, "v10": 10, "v11": 11}, 11)
    assert [one["version"] for one in client.all("change")] == [6, 9, 10, 11]
    assert len(line.actions("get_state")) == 1


@pytest.mark.rules("I1", "C1")
async def test_opening_what_one_may_not_hear_fails(client: Driver, gateway: Scripted) -> None:
    await client.make(gateway.url)
    connecting = client.begin("connect")
    line = await gateway.greeted()
    await connecting
    opening = client.begin("open", on=NAME)
    await line.fail(await line.hears("subscribe"), "forbidden", channels=[NAME])
    with pytest.raises(Fault) as fault:
        await opening
    line.reset()

    assert fault.value.code == "forbidden"
    assert (await (await gateway.next()).hears("connect"))["recover"].keys() == {OWN}
