"""Subscribing: the channels that claims and memberships allow, heard from the moment of the reply."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import InvalidMessage
from tests.gateway.patience import until
from tests.gateway.running import Gateway, new_session, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_subscriber_hears_what_is_published_after_the_reply(gateway: Gateway) -> None:
    client = await gateway.connect()
    topic = new_session()

    reply = await client.ask("subscribe", channels=[f"topic:{topic}"])
    sent = await gateway.manager.send_to_topic(topic, {"type": "price", "content": 9.5})

    message = await client.hear("price")
    assert reply["ok"] is True
    assert reply["channels"] == {f"topic:{topic}": {}}
    assert (message["id"], message["content"], message["channel"]) == (sent.id, 9.5, f"topic:{topic}")
    assert sent.receivers == 1


async def test_subscribing_to_durable_channels_tells_where_they_stand(gateway: Gateway) -> None:
    client, name = await gateway.connect(), new_session()
    sent = await gateway.manager.send_to_instance(name, {"type": "patch"})

    fresh = await client.ask("subscribe", channels=[f"instance:{name}"])
    await client.hear("snapshot")
    position = {"offset": sent.offset, "epoch": sent.epoch}
    again = await client.ask("subscribe", channels=[f"instance:{name}"], recover={f"instance:{name}": position})
    behind = await client.ask(
        "subscribe", channels=[f"instance:{name}"], recover={f"instance:{name}": position | {"offset": 0}}
    )

    assert fresh["channels"] == {f"instance:{name}": position}
    assert again["channels"] == {f"instance:{name}": position | {"recovered": True}}
    assert behind["channels"] == {f"instance:{name}": position | {"recovered": True}}
    assert [message["id"] for message in await client.heard()] == [sent.id]


async def test_after_unsubscribing_nothing_more_is_heard(gateway: Gateway) -> None:
    client, topic = await gateway.connect(), new_session()
    await client.ask("subscribe", channels=[f"topic:{topic}", f"topic:{topic}-stays"])

    reply = await client.ask("unsubscribe", channels=[f"topic:{topic}"])
    await gateway.manager.send_to_topic(topic, {"type": "unheard"})
    await gateway.manager.send_to_topic(f"{topic}-stays", {"type": "heard"})

    assert reply["channels"] == [f"topic:{topic}"]
    await client.hear("heard")
    assert await client.heard() == []


async def test_unsubscribing_from_what_was_not_heard_changes_nothing(gateway: Gateway) -> None:
    client, topic = await gateway.connect(), new_session()

    assert (await client.ask("unsubscribe", channels=[f"topic:{topic}"]))["ok"] is True


@pytest.mark.parametrize("kind", ["user", "connection", "broadcast"])
async def test_what_belongs_to_the_connection_stays(gateway: Gateway, kind: str) -> None:
    user = new_user()
    client = await gateway.connect(user)
    name = {"user": f"user:{user}", "connection": f"connection:{client.id}", "broadcast": "broadcast"}[kind]

    error = await client.ask("unsubscribe", channels=[name])
    sent = await gateway.manager.send(name, {"type": "still_here"})

    assert (error["code"], error["detail"]) == ("invalid_message", {"channels": [name]})
    assert (await client.hear("still_here"))["id"] == sent.id


async def test_subscribing_to_ones_own_channel_changes_nothing(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)

    reply = await client.ask("subscribe", channels=[f"user:{user}", "broadcast"])
    await gateway.manager.send_to_user(user, {"type": "once"})
    await client.hear("once")

    assert set(reply["channels"]) == {f"user:{user}", "broadcast"}
    assert await client.heard() == []
    presence = await client.ask("presence", channel=f"user:{user}")
    assert [(one["user_id"], one["connections"]) for one in presence["users"]] == [(user, 1)]


async def test_one_channel_that_is_not_allowed_means_none_of_them(gateway: Gateway) -> None:
    client = await gateway.connect(bearer=token(new_user(), topics=["open-*"]))

    error = await client.ask("subscribe", channels=["topic:open-1", "topic:closed", "user:somebody"])
    await gateway.manager.send_to_topic("open-1", {"type": "unheard"})

    assert (error["code"], error["detail"]) == ("forbidden", {"channels": ["topic:closed", "user:somebody"]})
    assert await client.heard() == []


@pytest.mark.parametrize("channel", ["user:else", "connection:c1", "session:s1", "topic:t", "instance:i", "task:t1"])
async def test_without_claims_nothing_of_others_is_heard(gateway: Gateway, channel: str) -> None:
    client = await gateway.connect(bearer=token(new_user(), topics=["other"]))

    assert (await client.ask("subscribe", channels=[channel]))["code"] == "forbidden"


@pytest.mark.parametrize(
    "channel", ["nonsense", "topic:", "topic:a b", "topic:*", "Topic:x", "topic:" + "x" * 129, ":x"]
)
async def test_what_is_no_channel_is_an_invalid_message(gateway: Gateway, channel: str) -> None:
    client = await gateway.connect()

    for action in ("subscribe", "unsubscribe", "presence"):
        field = {"channel": channel} if action == "presence" else {"channels": [channel]}
        assert (await client.ask(action, **field))["code"] == "invalid_message"


@pytest.mark.parametrize("channels", [[], None, "topic:t", [7], {"topic:t": 1}, ["topic:t"] * 101])
async def test_channels_must_be_a_list_of_one_to_a_hundred_names(gateway: Gateway, channels: object) -> None:
    client = await gateway.connect()

    error = await client.ask("subscribe", channels=channels)

    assert (error["code"], error["detail"]["field"].split(".")[0]) == ("invalid_message", "channels")


async def test_naming_a_channel_twice_is_naming_it_once(gateway: Gateway) -> None:
    client, topic = await gateway.connect(), new_session()

    await client.ask("subscribe", channels=[f"topic:{topic}"] * 2)
    await gateway.manager.send_to_topic(topic, {"type": "once"})
    await client.hear("once")

    assert await client.heard() == []


async def test_replicas_hear_a_channel_only_while_somebody_is_in_it(gateway: Gateway) -> None:
    client, topic = await gateway.connect(), new_session()
    await client.ask("subscribe", channels=[f"topic:{topic}"])
    while_there = (await gateway.manager.send_to_topic(topic, {"type": "x"})).receivers

    await client.leave()

    async def receivers() -> int:
        return (await gateway.manager.send_to_topic(topic, {"type": "x"})).receivers

    async with asyncio.timeout(5):
        while await receivers():
            await asyncio.sleep(0.05)
    assert while_there == 1


async def test_who_leaves_while_subscribing_is_not_seen_there_afterwards(gateway: Gateway) -> None:
    witness, name = await gateway.connect(), new_session()
    await witness.ask("subscribe", channels=[f"topic:{name}"])

    for _ in range(10):
        client = await gateway.connect()
        await client.say("subscribe", channels=[f"topic:{name}", *(f"topic:{name}-{n}" for n in range(20))])
        await client.socket.close()
    await until(lambda: len(gateway.manager.pool.members(f"topic:{name}")) == 1)

    async def seen() -> int:
        return int((await witness.ask("presence", channel=f"topic:{name}"))["count"])

    async with asyncio.timeout(5):
        while await seen() != 1:
            await asyncio.sleep(0.02)


async def test_sending_to_a_channel_that_is_none_raises_before_redis_is_asked(gateway: Gateway) -> None:
    with pytest.raises(InvalidMessage):
        gateway.manager.send_to_topic("no such name", {"type": "x"}).close()
