"""A client who comes back is given what it missed, in order and before anything new; or told that it cannot be."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.codes import REPLACED
from fairlead.format.control import close_order
from fairlead.format.envelope import Envelope
from fairlead.publishing.sent import Sent
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from tests.gateway.running import Client, Gateway, Message, new_session, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def said(gateway: Gateway, channel: str, count: int) -> list[Sent]:
    return [await gateway.manager.send(channel, {"type": "note", "content": number}) for number in range(count)]


def position(sent: Sent) -> Message:
    return {"offset": sent.offset, "epoch": sent.epoch, "id": sent.id}


async def come_back(
    gateway: Gateway, user: str, recover: Message, path: str = "/ws", **options: object
) -> tuple[Client, Message]:
    """A client that says where it stands before anything goes live; and its greeting's channels."""
    client = await gateway.open(f"{path}?wait=connect", bearer=token(user), **options)
    await client.say("connect", recover=recover)
    client.greeting = await client.next()
    assert client.greeting["type"] == "connection_established"
    return client, client.greeting["channels"]


async def test_what_was_missed_follows_the_greeting_in_order(gateway: Gateway) -> None:
    user = new_user()
    sent = await said(gateway, f"user:{user}", 5)

    client, channels = await come_back(gateway, user, {f"user:{user}": position(sent[1])})

    assert channels[f"user:{user}"] == {"offset": 5, "epoch": sent[-1].epoch, "recovered": True}
    missed = await client.heard()
    assert [(one["offset"], one["id"]) for one in missed] == [(one.offset, one.id) for one in sent[2:]]


async def test_many_channels_are_recovered_in_one_frame(gateway: Gateway) -> None:
    user, session, instance = new_user(), new_session(), new_session()
    names = [f"user:{user}", f"session:{session}", f"instance:{instance}"]
    sent = {name: await said(gateway, name, 3) for name in names}

    client, channels = await come_back(gateway, user, {name: position(sent[name][0]) for name in names})
    missed = await client.heard()
    await gateway.manager.send_to_session(session, {"type": "live"})

    assert all(channels[name]["recovered"] for name in names)
    for name in names:
        assert [one["offset"] for one in missed if (one["type"], one["channel"]) == ("note", name)] == [2, 3]
    assert (await client.hear("live"))["offset"] == 4


@pytest.mark.parametrize("kind", ["session", "instance"])
async def test_the_endpoints_of_sessions_and_instances_recover(gateway: Gateway, kind: str) -> None:
    name = new_session()
    path = {"session": f"/ws/chat/session/{name}", "instance": f"/ws/instance/{name}"}[kind]
    sent = await said(gateway, f"{kind}:{name}", 3)

    client, channels = await come_back(gateway, new_user(), {f"{kind}:{name}": position(sent[0])}, path)

    assert channels[f"{kind}:{name}"]["recovered"] is True
    assert [one["offset"] for one in await client.heard() if one["type"] == "note"] == [2, 3]


async def test_what_cannot_be_proven_is_said_and_no_part_of_it_sent(gateway: Gateway) -> None:
    user = new_user()
    sent = await said(gateway, f"user:{user}", 3)

    for stale in ({"offset": 1, "epoch": "gone.x"}, {"offset": 99, "epoch": sent[0].epoch}, {"offset": 0, "epoch": ""}):
        client, channels = await come_back(gateway, user, {f"user:{user}": stale})
        assert channels[f"user:{user}"] == {"offset": 3, "epoch": sent[0].epoch, "recovered": False}
        assert await client.heard() == []
        await client.leave()


async def test_a_channel_that_one_may_not_hear_is_not_recovered(gateway: Gateway) -> None:
    user, other = new_user(), new_user()
    (sent,) = await said(gateway, f"user:{other}", 1)

    client, channels = await come_back(gateway, user, {f"user:{other}": position(sent) | {"offset": 0}})

    assert channels[f"user:{other}"] == {"recovered": False, "code": "forbidden"}
    assert await client.heard() == []


async def test_something_that_is_no_channel_is_a_bad_request(gateway: Gateway) -> None:
    client = await gateway.open("/ws?wait=connect", bearer=token(new_user()))
    await client.say("connect", recover={"nonsense": {"offset": 0, "epoch": "e"}})

    code, reason = await client.closed()

    assert code == 4000
    assert "kind:id" in reason


async def test_an_ephemeral_channel_has_nothing_to_recover(gateway: Gateway) -> None:
    name = f"topic:{new_session()}"

    client, channels = await come_back(gateway, new_user(), {name: {"offset": 1, "epoch": "e"}})
    await gateway.manager.send(name, {"type": "tick"})

    assert channels[name] == {"recovered": False}
    await client.hear("tick")


async def test_msgpack_clients_recover_in_msgpack(gateway: Gateway) -> None:
    user = new_user()
    sent = await said(gateway, f"user:{user}", 2)
    client = await gateway.open("/ws?wait=connect", bearer=token(user), subprotocols=[MSGPACK_SUBPROTOCOL])

    await client.say("connect", recover={f"user:{user}": position(sent[0])})
    await client.next()

    assert (await client.hear("note"))["offset"] == 2


async def test_what_a_format_cannot_carry_holds_its_place_live_and_later(gateway: Gateway) -> None:
    user = new_user()
    channel = f"user:{user}"
    (first,) = await said(gateway, channel, 1)
    options = {"bearer": token(user), "subprotocols": [MSGPACK_SUBPROTOCOL]}
    live = await gateway.connect(**options)
    publisher = gateway.manager._parts.replica.publisher
    await publisher.publish(channel, Envelope("forged", "note", b'{"type":nonsense}'))
    await said(gateway, channel, 1)

    back = await gateway.open("/ws?wait=connect", **options)
    await back.say("connect", recover={channel: position(first)})
    await back.hear("connection_established")

    for client in (live, back):
        assert await client.hear("skipped") == {"type": "skipped", "channel": channel, "offset": 2}
        assert (await client.hear("note"))["offset"] == 3


async def test_an_order_that_somebody_kept_is_no_message(gateway: Gateway) -> None:
    user = new_user()
    channel = f"user:{user}"
    (first,) = await said(gateway, channel, 1)
    order = close_order(REPLACED.code, REPLACED.reason(""))
    await gateway.manager._parts.replica.publisher.publish(channel, order, durable=True)

    client, channels = await come_back(gateway, user, {channel: position(first)})

    assert channels[channel]["recovered"] is True
    assert [one["type"] for one in await client.heard()] == ["skipped"]


async def test_a_client_that_sees_a_gap_asks_for_it(gateway: Gateway) -> None:
    client = await gateway.connect()
    channel = f"user:{client.greeting['user_id']}"
    sent = await said(gateway, channel, 4)
    await client.heard()

    reply = await client.ask("subscribe", channels=[channel], recover={channel: position(sent[1])})

    assert reply["channels"][channel] == {"offset": 4, "epoch": sent[-1].epoch, "recovered": True}
    assert [one["offset"] for one in await client.heard()] == [3, 4]


async def test_joining_a_session_again_brings_what_was_said_meanwhile(gateway: Gateway) -> None:
    client, session = await gateway.connect(), new_session()
    await client.ask("join_session", session_id=session)
    (first,) = await said(gateway, f"session:{session}", 1)
    await client.ask("leave_session", session_id=session)
    await said(gateway, f"session:{session}", 2)
    await client.heard()

    reply = await client.ask("join_session", session_id=session, recover={f"session:{session}": position(first)})

    assert reply["channels"][f"session:{session}"]["recovered"] is True
    assert [one["offset"] for one in await client.heard() if one["type"] == "note"] == [2, 3]


async def test_under_load_what_was_missed_and_what_comes_live_make_one_sequence(gateway: Gateway) -> None:
    user, session = new_user(), new_session()
    channel = f"session:{session}"
    sent = await said(gateway, channel, 3)
    going = True

    async def publish() -> None:
        while going:
            await asyncio.gather(*(gateway.manager.send(channel, {"type": "note"}) for _ in range(5)))
            await asyncio.sleep(0.005)

    publishing = asyncio.create_task(publish())
    last, seen = position(sent[0]), [1]
    for _ in range(15):
        client, channels = await come_back(gateway, user, {channel: last}, f"/ws/chat/session/{session}")
        assert channels[channel]["recovered"] is True
        for _ in range(20):
            note = await client.hear("note")
            if note["offset"] > seen[-1]:
                seen.append(note["offset"])
                last = {"offset": note["offset"], "epoch": channels[channel]["epoch"], "id": note["id"]}
        client.socket.transport.abort()
    going = False
    await publishing

    assert seen == list(range(1, len(seen) + 1))


async def test_a_large_backlog_is_not_taken_for_a_slow_reader(gateway: Gateway) -> None:
    user = new_user()
    (first,) = await said(gateway, f"user:{user}", 1)
    for _ in range(60):
        await gateway.manager.send_to_user(user, {"type": "note", "content": "x" * 60_000})

    client, channels = await come_back(gateway, user, {f"user:{user}": position(first)}, max_size=None)

    assert channels[f"user:{user}"]["recovered"] is True
    assert [one["offset"] for one in await client.heard()] == list(range(2, 62))


async def test_more_than_a_replay_may_hold_is_reloaded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_gateway.dispatch.replays.MAX_REPLAY_BYTES", 10_000)
    user, session = new_user(), new_session()
    channel = f"session:{session}"
    await gateway.connect(path=f"/ws/chat/session/{session}")
    gateway.manager._parts.replica.tracks._memory._limit_messages = 2
    (first,) = await said(gateway, channel, 1)
    for _ in range(4):
        await gateway.manager.send(channel, {"type": "note", "content": "x" * 4_000})

    _, channels = await come_back(gateway, user, {channel: position(first)}, f"/ws/chat/session/{session}")
    gateway.manager._parts.replica.tracks._memory._limit_messages = 256

    assert channels[channel]["recovered"] is False


async def test_who_could_not_sit_down_is_not_shown_there(gateway: Gateway) -> None:
    client, session = await gateway.connect(), new_session()
    channel = f"session:{session}"
    parts = gateway.manager._parts
    await parts._lane.call("SET", parts.replica.names.meta(channel), "no hash")

    refused = await client.ask("subscribe", channels=[channel])

    assert refused["code"] == "unavailable"
    assert await parts.replica.seats.who_is_in(channel) == []


async def test_channels_that_together_are_too_much_are_reloaded(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_gateway.sessions.seating.MAX_REPLAY_BYTES", 10_000)
    names = [f"session:{new_session()}" for _ in range(3)]
    first = {name: (await said(gateway, name, 1))[0] for name in names}
    for name, size in zip(names, (6_000, 6_000, 1_000), strict=True):
        await gateway.manager.send(name, {"type": "note", "content": "x" * size})

    client, channels = await come_back(gateway, new_user(), {name: position(first[name]) for name in names})

    assert [channels[name]["recovered"] for name in names] == [True, False, True]
    assert [channels[name]["offset"] for name in names] == [2, 2, 2]
    assert [one["channel"] for one in await client.heard() if one["type"] == "note"] == [names[0], names[2]]
