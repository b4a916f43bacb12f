"""``get_state`` and ``patch``, and what those who come late to an instance are given (ST-1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from fairlead.errors import Conflict
from fairlead.names import Names
from fairlead.state.instances import FOLD_BYTES, FOLD_PATCHES
from fairlead_gateway.sessions import seating
from tests.gateway.running import Gateway, Message, new_session, serving, settings_for
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = Redis.from_url(redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
def name() -> str:
    return new_session()


def said(message: Message) -> tuple[Any, ...]:
    return message["type"], message["version"], message.get("document", message.get("patch"))


# -- who comes late ----------------------------------------------------------------------------------


async def test_whoever_opens_an_instance_is_given_its_state_right_after_the_greeting(
    gateway: Gateway, name: str
) -> None:
    empty = await gateway.connect(path=f"/ws/instance/{name}")
    assert said(await empty.next()) == ("snapshot", 0, {})

    await gateway.manager.send_patch(name, {"a.b": 1})
    await gateway.manager.set_state(name, {"c": [1]})
    await gateway.manager.send_patch(name, {"c.1": 2})
    late = await gateway.connect(path=f"/ws/instance/{name}")
    await gateway.manager.send_patch(name, {"c.2": 3})

    snapshot = await late.next()
    assert said(snapshot) == ("snapshot", 3, {"c": [1, 2]})
    assert snapshot.keys() == {"type", "instance", "channel", "document", "version", "timestamp"}
    assert (snapshot["instance"], snapshot["channel"]) == (name, f"instance:{name}")
    assert said(await late.next()) == ("patch", 4, {"c.2": 3})
    assert [said(message) for message in await empty.heard()] == [
        ("patch", 1, {"a.b": 1}),
        ("snapshot", 2, {"c": [1]}),
        ("patch", 3, {"c.1": 2}),
        ("patch", 4, {"c.2": 3}),
    ]


async def test_whoever_subscribes_is_given_the_state_and_who_recovers_the_patches(gateway: Gateway, name: str) -> None:
    channel = f"instance:{name}"
    client = await gateway.connect()
    await gateway.manager.send_patch(name, {"a": 1})

    fresh = (await client.ask("subscribe", channels=[channel]))["channels"][channel]
    assert said(await client.hear("snapshot")) == ("snapshot", 1, {"a": 1})
    await client.ask("unsubscribe", channels=[channel])
    await gateway.manager.send_patch(name, {"a": 2})
    again = await client.ask("subscribe", channels=[channel], recover={channel: fresh})

    assert again["channels"][channel]["recovered"] is True
    assert [said(message) for message in await client.heard()] == [("patch", 2, {"a": 2})]


async def test_who_cannot_be_given_the_patches_is_given_the_state(gateway: Gateway, name: str) -> None:
    channel = f"instance:{name}"
    client = await gateway.connect()
    await gateway.manager.send_patch(name, {"a": 1})

    lost = await client.ask("subscribe", channels=[channel], recover={channel: {"offset": 9, "epoch": "gone.0"}})

    assert lost["channels"][channel]["recovered"] is False
    assert [said(message) for message in await client.heard()] == [("snapshot", 1, {"a": 1})]


async def test_those_who_come_at_once_share_what_is_read(gateway: Gateway, redis: Redis, name: str) -> None:
    await gateway.manager.send_patch(name, {"a": 1})
    before = (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"]

    clients = await asyncio.gather(*(gateway.connect(path=f"/ws/instance/{name}") for _ in range(40)))

    assert {said(await client.next())[1] for client in clients} == {1}
    assert (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"] - before < 30


async def test_a_state_is_never_older_than_the_question(gateway: Gateway, name: str) -> None:
    instances = gateway.manager._parts.replica.instances

    async def write_and_read(number: int) -> None:
        sent = await instances.patch(name, {"a": number})
        snapshot = json.loads(await instances.snapshot(f"instance:{name}"))
        assert snapshot["version"] >= sent.version

    await asyncio.gather(*(write_and_read(number) for number in range(100)))

    assert (instances._reading, instances._next) == ({}, {})


# -- asking ------------------------------------------------------------------------------------------


async def test_a_state_can_be_asked_for_without_hearing_the_instance(gateway: Gateway, name: str) -> None:
    client = await gateway.connect()
    await gateway.manager.send_patch(name, {"a": 1})

    state = await client.ask("get_state", channel=f"instance:{name}")

    assert (state["type"], state["ok"], state["version"], state["document"]) == ("reply", True, 1, {"a": 1})
    assert (await gateway.manager.get_instance(name)).document == {"a": 1}


@pytest.mark.parametrize(
    ("channel", "code"),
    [("topic:x", "not_found"), ("instance:", "invalid_message"), ("nowhere", "invalid_message")],
)
async def test_where_there_is_no_state_the_answer_says_so(gateway: Gateway, channel: str, code: str) -> None:
    client = await gateway.connect()

    assert (await client.ask("get_state", channel=channel))["code"] == code


async def test_who_may_not_hear_an_instance_learns_nothing_and_changes_nothing(gateway: Gateway, name: str) -> None:
    client = await gateway.connect(bearer=token("ann", instances=["other-*"]))

    asked = await client.ask("get_state", channel=f"instance:{name}")
    written = await client.ask("patch", instance=name, patch={"a": 1})
    elsewhere = await client.ask("patch", instance="other-x", patch={"a": 1})

    assert (asked["code"], written["code"]) == ("forbidden", "forbidden")
    assert written["detail"] == {"channels": [f"instance:{name}"]}
    assert elsewhere["ok"] is True
    assert (await gateway.manager.get_instance(name)).version == 0


async def test_the_state_of_a_task_is_asked_for_alike(gateway: Gateway, name: str) -> None:
    owner = await gateway.connect("ann", bearer=token("ann", instances=["none"]))
    other = await gateway.connect(bearer=token("ben", instances=["none"]))
    await gateway.manager.update_task(name, owner="ann", progress=7)

    state = await owner.ask("get_state", channel=f"task:{name}")

    assert (state["type"], state["ok"], state["task_id"], state["progress"]) == ("reply", True, name, 7)
    assert (await other.ask("get_state", channel=f"task:{name}"))["code"] == "forbidden"


# -- writing -----------------------------------------------------------------------------------------


async def test_who_writes_hears_it_like_everybody_else(gateway: Gateway, name: str) -> None:
    writer, watcher = [await gateway.connect(user, f"/ws/instance/{name}") for user in ("ann", "ben")]

    reply = await writer.ask("patch", instance=name, patch={"a.b": 1}, patch_id="p-1", base_version=0)
    again = await writer.ask("patch", instance=name, patch={"a.b": 2}, patch_id="p-1")
    gone = await watcher.ask("patch", instance=name, unset=["a"])

    heard = [await writer.hear("patch"), await watcher.hear("patch")]
    assert heard[0] == heard[1]
    assert (heard[0]["from"], heard[0]["patch_id"], heard[0]["offset"]) == ("user:ann", "p-1", reply["offset"])
    assert (reply["instance"], reply["version"], "duplicate" in reply) == (name, 1, False)
    assert (again["version"], again["duplicate"], again["offset"]) == (1, True, reply["offset"])
    assert (gone["version"], (await gateway.manager.get_instance(name)).document) == (2, {})
    assert (await writer.hear("patch"))["unset"] == ["a"]


async def test_who_writes_on_an_older_version_is_given_what_it_missed(gateway: Gateway, name: str) -> None:
    client = await gateway.connect()
    await gateway.manager.send_patch(name, {"a": 1})
    await gateway.manager.send_patch(name, {"a": 2})

    refused = await client.ask("patch", instance=name, patch={"a": 3}, base_version=1)

    assert (refused["type"], refused["code"], refused["detail"]["version"]) == ("error", "conflict", 2)
    assert [said(patch) for patch in refused["detail"]["patches"]] == [("patch", 2, {"a": 2})]
    assert "snapshot" not in refused["detail"]
    with pytest.raises(Conflict):
        await gateway.manager.send_patch(name, {"a": 3}, base_version=1)


async def test_who_has_missed_too_much_is_given_the_state(gateway: Gateway, name: str) -> None:
    client = await gateway.connect()
    for number in range(3):
        await gateway.manager.send_patch(name, {f"n{number}": "x" * (FOLD_BYTES // 2)})

    refused = await client.ask("patch", instance=name, patch={"a": 1}, base_version=0)

    assert (refused["code"], refused["detail"]["version"], refused["detail"]["patches"]) == ("conflict", 3, None)
    assert said(refused["detail"]["snapshot"])[:2] == ("snapshot", 3)
    assert len(refused["detail"]["snapshot"]["document"]) == 3
    assert (await client.ask("patch", instance=name, patch={"a": 1}, base_version=3))["version"] == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"patch": {}},
        {"patch": {"a..b": 1}},
        {"patch": {"__proto__.x": 1}},
        {"patch": ["a"]},
        {"patch": {"a": 1}, "unset": "a"},
        {"patch": {"a": 1}, "base_version": -1},
        {"patch": {"a": 1}, "patch_id": ""},
        {"patch": {"a": 1}, "patch_id": 2**63},
        {"patch": {"a": 1}, "instance": "no id"},
    ],
)
async def test_what_is_no_patch_is_refused(gateway: Gateway, name: str, fields: dict[str, Any]) -> None:
    client = await gateway.connect()

    assert (await client.ask("patch", **{"instance": name, **fields}))["code"] == "invalid_message"
    assert (await client.ask("patch", instance=name, patch={"a": 1}))["version"] == 1


async def test_a_replica_folds_what_its_clients_write(gateway: Gateway, redis: Redis, name: str) -> None:
    state = Names(gateway.manager.settings.prefix).instance_state(name)
    client = await gateway.connect()

    for number in range(FOLD_PATCHES):
        await client.say("patch", instance=name, patch={f"n{number}": number})
    last = await client.ask("get_state", channel=f"instance:{name}")

    assert (last["version"], len(last["document"])) == (FOLD_PATCHES, FOLD_PATCHES)
    assert await redis.hget(state, "folded") == str(FOLD_PATCHES).encode()


async def test_a_large_state_is_no_reason_to_close_a_client_who_reads(gateway: Gateway, name: str) -> None:
    await gateway.manager.set_state(name, {"text": "x" * 990_000})
    client = await gateway.connect(path=f"/ws/instance/{name}", max_size=None)

    for _ in range(5):
        assert len((await client.ask("get_state", channel=f"instance:{name}"))["document"]["text"]) == 990_000
    refused = await client.ask("patch", instance=name, patch={"a": 1}, base_version=0)

    assert len(refused["detail"]["snapshot"]["document"]["text"]) == 990_000


async def test_without_offsets_it_works_the_same(redis_url: str, name: str) -> None:
    async with serving(settings_for(redis_url, durable=("user",))) as gateway:
        client = await gateway.connect(path=f"/ws/instance/{name}")
        reply = await client.ask("patch", instance=name, patch={"a": 1})
        late = await gateway.connect(path=f"/ws/instance/{name}")

        assert reply["version"] == 1 and "offset" not in reply
        assert said(await client.hear("snapshot"))[1] == 0
        patch = await client.hear("patch")
        assert said(patch) == ("patch", 1, {"a": 1}) and "offset" not in patch
        assert said(await late.hear("snapshot")) == ("snapshot", 1, {"a": 1})


async def test_states_that_are_too_much_together_are_to_be_asked_for(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seating, "MAX_REPLAY_BYTES", 3000)
    names = [new_session() for _ in range(3)]
    for name in names:
        await gateway.manager.set_state(name, {"text": "x" * 1000})
    client = await gateway.connect()

    reply = await client.ask("subscribe", channels=[f"instance:{name}" for name in names])
    told = [frame["instance"] for frame in await client.heard() if frame["type"] == "snapshot"]

    assert told == names[:2]
    assert [reply["channels"][f"instance:{name}"].get("recovered") for name in names] == [None, None, False]
    assert (await client.ask("get_state", channel=f"instance:{names[2]}"))["document"] == {"text": "x" * 1000}
