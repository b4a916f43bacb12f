"""``/ws/admin/monitor``: how the fleet is doing, for those who may see it (ADM-2, CON-1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.errors import InvalidMessage
from fairlead.format.control import TapOrder, tap_order
from fairlead.format.messages import push
from fairlead.names import ADMINS, FLEET, replica_channel
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from fairlead_gateway.sessions import admins
from fairlead_gateway.sessions.live.taps import MAX_TAPS, Taps
from tests.gateway.patience import until
from tests.gateway.running import Client, Gateway, Message, new_session, new_user, serving, settings_for
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/ws/admin/monitor"


async def admin(gateway: Gateway, role: str = "viewer", user: str = "", **options: Any) -> Client:
    """A client at the endpoint, without any claims but its role."""
    bearer = token(user or new_user(), role=role, topics=("none",))
    return await gateway.connect(path=PATH, bearer=bearer, **options)


async def publish(gateway: Gateway, message: Message) -> None:
    """Say what the fleet's overseer says."""
    publisher = gateway.manager._parts.replica.publisher
    await publisher.publish(ADMINS, push(message, ADMINS), durable=False)


def taps(gateway: Gateway) -> Taps:
    return gateway.manager._parts.replica.taps


async def items(client: Client, wanted: str, of: str = "") -> list[Message]:
    """The items of the next ``live`` frames, up to the first whose event or message type is *wanted*, by user *of*."""
    found: list[Message] = []
    while True:
        for item in (await client.hear("live"))["items"]:
            found.append(item)
            if wanted in (item.get("event"), item.get("message_type")) and of in ("", item.get("user_id")):
                return found


# -- who may come in -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "monitor", "operator", "admin"])
async def test_who_may_see_the_fleet_is_let_in(gateway: Gateway, role: str) -> None:
    client = await admin(gateway, role)

    assert ADMINS not in client.greeting["channels"]
    assert (await client.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize("role", ["", "member"])
async def test_who_may_not_is_refused_with_4403(gateway: Gateway, role: str) -> None:
    refusal = await gateway.refusal(PATH, bearer=token(new_user(), role=role))

    assert refusal == (4403, f"forbidden: {admins.REFUSAL}")


async def test_who_waits_for_its_first_frame_is_looked_at_as_well(gateway: Gateway) -> None:
    refused, let_in = [await gateway.open(PATH) for _ in range(2)]

    await refused.say("connect", token=token(new_user()))
    back = {"topic:presence": {"offset": 0, "epoch": ""}}
    await let_in.say("connect", token=token(new_user(), role="viewer", topics=("none",)), recover=back)

    assert (await refused.closed())[0] == 4403
    await let_in.hear("connection_established")
    await gateway.connect(comer := new_user())
    while (await let_in.hear("user_status_update"))["user_id"] != comer:
        pass


async def test_it_counts_among_the_connections_of_its_user(redis_url: str) -> None:
    async with serving(settings_for(redis_url, max_connections_per_user=1)) as gateway:
        user = new_user()
        await admin(gateway, user=user)

        assert (await gateway.refusal(bearer=token(user)))[0] == 4429


# -- what it hears -------------------------------------------------------------------------------


@pytest.mark.parametrize("subprotocols", [[], [MSGPACK_SUBPROTOCOL]])
async def test_it_hears_how_the_fleet_is_doing_and_who_comes_and_goes(
    gateway: Gateway, subprotocols: list[str]
) -> None:
    client, other, user = await admin(gateway, subprotocols=subprotocols), await gateway.connect(), new_user()

    await publish(gateway, {"type": "stats_update", "total_connections": 777})
    await publish(gateway, {"type": "alert", "alert": {"rule": "error_rate"}})
    await gateway.connect(user)

    while (await client.hear("stats_update"))["total_connections"] != 777:
        pass
    assert (await client.hear("alert"))["alert"] == {"rule": "error_rate"}
    while (await client.hear("user_status_update"))["user_id"] != user:
        pass
    assert await other.heard() == []


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("subscribe", {"channels": [ADMINS]}),
        ("unsubscribe", {"channels": [ADMINS]}),
        ("message", {"to": ADMINS, "content": "x"}),
        ("get_state", {"channel": ADMINS}),
        ("presence", {"channel": ADMINS}),
    ],
)
async def test_no_client_can_name_its_channel(gateway: Gateway, action: str, fields: Message) -> None:
    client = await gateway.connect(bearer=token(new_user(), role="admin"))

    assert (await client.ask(action, **fields))["code"] == "invalid_message"


async def test_no_backend_can_name_it_either(gateway: Gateway) -> None:
    with pytest.raises(InvalidMessage):
        await gateway.manager.send(ADMINS, {"type": "stats_update"})


# -- a new token ---------------------------------------------------------------------------------


async def test_who_loses_the_rank_is_closed_with_4403(gateway: Gateway) -> None:
    user = new_user()
    client = await admin(gateway, user=user)

    await client.say("refresh", token=token(user, role="member"))

    assert await client.closed() == (4403, f"forbidden: {admins.REFUSAL}")


async def test_who_keeps_it_hears_what_it_heard(gateway: Gateway) -> None:
    user = new_user()
    client = await admin(gateway, user=user)

    reply = await client.ask("refresh", token=token(user, role="operator", topics=("none",)))
    await publish(gateway, {"type": "stats_update", "total_connections": 888})
    await gateway.connect(comer := new_user())

    assert reply["removed"] == []
    while (await client.hear("stats_update"))["total_connections"] != 888:
        pass
    while (await client.hear("user_status_update"))["user_id"] != comer:
        pass


# -- watching live -------------------------------------------------------------------------------


async def test_who_came_another_way_cannot_watch(gateway: Gateway) -> None:
    client = await gateway.connect(bearer=token(new_user(), role="admin"))

    for action in ("watch_live", "unwatch_live"):
        assert (await client.ask(action))["code"] == "forbidden"


@pytest.mark.parametrize("subprotocols", [[], [MSGPACK_SUBPROTOCOL]])
async def test_messages_and_events_are_shown(gateway: Gateway, subprotocols: list[str]) -> None:
    client, session = await admin(gateway, subprotocols=subprotocols), new_session()

    reply = await client.ask("watch_live")
    ann, ben = [await gateway.connect(path=f"/ws/chat/session/{session}") for _ in range(2)]
    said = await ann.ask("message", content="a secret")
    seen = await items(client, "new_message")
    events = {item["event"]: item for item in seen if item["kind"] == "event"}
    (message,) = [item for item in seen if item.get("message_type") == "new_message"]

    assert (reply["ok"], reply["replicas"], reply["content"], reply["max_per_second"]) == (True, 1, False, 20)
    assert message["id"] == said["message_id"]
    assert message["replica"] == gateway.manager.replica_id
    assert (message["channel"], message["offset"]) == (f"session:{session}", said["offset"])
    assert message["from"] == f"user:{ann.greeting['user_id']}"
    assert message["receivers"] == 1, "the sender is spared"
    assert {"connection", "user_connected", "session_joined"} <= events.keys()
    assert (await ben.hear("new_message"))["content"] == "a secret"
    assert "secret" not in str(seen) + str(client.unheard)


async def test_only_what_is_wanted_is_shown(gateway: Gateway) -> None:
    client, user, other = await admin(gateway), new_user(), new_user()
    for one in (user, other):
        await gateway.connect(one)

    await client.ask("watch_live", types=["wanted*"], channels=[f"user:{user}"], events=["application_*"])
    for one in (user, other):
        for type in ("wanted_1", "unwanted"):
            await gateway.manager.send_to_user(one, {"type": type})
    gateway.manager._parts.replica.events.emit("application_event", user_id=user, content="a secret")
    gateway.manager._parts.replica.events.emit("other_event", user_id=user)
    seen = await items(client, "application_event")

    assert [item.get("message_type", item.get("event")) for item in seen] == ["wanted_1", "application_event"]
    assert seen[1].keys() == {"kind", "at", "replica", "event", "user_id"}


async def test_what_is_more_than_wanted_is_counted(gateway: Gateway) -> None:
    client, user = await admin(gateway), new_user()
    await gateway.connect(user)
    await client.ask("watch_live", types=["flood"], events=[], max_per_second=5)

    for _ in range(50):
        await gateway.manager.send_to_user(user, {"type": "flood"})
    shown = dropped = 0
    while shown + dropped < 50:
        live = await client.hear("live")
        shown, dropped = shown + len(live["items"]), dropped + live["dropped"]

    assert shown + dropped == 50
    assert 5 <= shown <= 25, "within the seconds that this may take on a slow machine"


async def test_another_wish_takes_the_place_of_the_first(gateway: Gateway) -> None:
    client, user = await admin(gateway), new_user()
    await gateway.connect(user)

    await client.ask("watch_live", types=["first"], events=[])
    before = len(taps(gateway))
    await client.ask("watch_live", types=["second"], events=[])
    for type in ("first", "second"):
        await gateway.manager.send_to_user(user, {"type": type})

    assert [item["message_type"] for item in await items(client, "second")] == ["second"]
    assert len(taps(gateway)) == before


@pytest.mark.parametrize("how", ["unwatch", "leave"])
async def test_who_stops_or_leaves_is_forgotten_at_once(redis_url: str, how: str) -> None:
    async with serving(settings_for(redis_url)) as gateway:
        client, user = await admin(gateway), new_user()
        await gateway.connect(user)
        await client.ask("watch_live")
        await until(lambda: len(taps(gateway)) == 1)

        if how == "leave":
            await client.leave()
        else:
            await client.ask("unwatch_live")
            await client.ask("unwatch_live")

        await until(lambda: len(taps(gateway)) == 0, 2)
        if how == "unwatch":
            await client.heard()
            await gateway.manager.send_to_user(user, {"type": "unseen"})
            assert "unseen" not in str(await client.heard())


@pytest.mark.parametrize(
    "wish",
    [
        {"max_per_second": 0},
        {"max_per_second": 101},
        {"messages": False, "events": []},
        {"types": [""]},
        {"channels": ["x" * 161]},
        {"events": "connection"},
        {"types": ["x"] * 21},
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(gateway: Gateway, wish: Message) -> None:
    client = await admin(gateway)

    assert (await client.ask("watch_live", **wish))["code"] == "invalid_message"


async def test_what_a_message_says_is_shown_to_admins_where_that_is_switched_on(redis_url: str) -> None:
    async with serving(settings_for(redis_url, live_content=True)) as gateway:
        user, seer = new_user(), new_user()
        await gateway.connect(user)
        viewer, client = await admin(gateway), await admin(gateway, "admin", seer)
        assert (await viewer.ask("watch_live", types=["said"], events=[]))["content"] is False
        assert (await client.ask("watch_live", types=["said"], events=[]))["content"] is True

        await gateway.manager.send_to_user(user, {"type": "said", "content": "one"})
        assert '"content":"one"' in (await items(client, "said"))[0]["content"]
        assert "content" not in (await items(viewer, "said"))[0]

        await client.ask("refresh", token=token(seer, role="viewer"))
        await gateway.manager.send_to_user(user, {"type": "said", "content": "two"})
        assert "content" not in (await items(client, "said"))[0]

        await client.ask("refresh", token=token(seer, role="admin"))
        async with asyncio.timeout(5):
            shown = False
            while not shown:
                await gateway.manager.send_to_user(user, {"type": "said", "content": "three"})
                shown = "content" in (await items(client, "said"))[0]


async def test_no_more_may_watch_than_replicas_can_bear(redis_url: str) -> None:
    async with serving(settings_for(redis_url)) as gateway:
        replica = gateway.manager._parts.replica
        for number in range(MAX_TAPS + 3):
            order = TapOrder(f"t{number}", {}, False, 15, replica_channel("elsewhere"))
            await replica.publisher.publish(FLEET, tap_order(order), durable=False)
        await until(lambda: len(replica.taps) >= MAX_TAPS)

        error = await (await admin(gateway)).ask("watch_live")

        assert (error["code"], error["detail"]["limit"]) == ("rate_limited", MAX_TAPS)
        assert len(replica.taps) == MAX_TAPS


async def test_an_order_that_makes_no_sense_makes_no_tap_and_one_that_is_not_renewed_ends(redis_url: str) -> None:
    async with serving(settings_for(redis_url)) as gateway:
        replica = gateway.manager._parts.replica
        for wanted, to in (
            ({"max_per_second": 10**9}, replica_channel("r")),
            ({}, "user:42"),
            ({"types": 7}, "replica:r"),
        ):
            await replica.publisher.publish(FLEET, tap_order(TapOrder("bad", wanted, False, 15, to)), durable=False)
        order = TapOrder("good", {}, False, 0.5, replica_channel("elsewhere"))
        await replica.publisher.publish(FLEET, tap_order(order), durable=False)

        await until(lambda: len(replica.taps) == 1)
        assert replica.events._handlers["*"]
        await until(lambda: len(replica.taps) == 0, 3)
        assert not replica.events._handlers["*"]


async def test_who_does_not_read_what_it_watches_is_closed_like_everybody(redis_url: str) -> None:
    async with serving(settings_for(redis_url, max_outbox_bytes=20_000)) as gateway:
        client = await admin(gateway)
        await client.ask("watch_live")
        client.socket.transport.pause_reading()

        async with asyncio.timeout(20):
            while gateway.manager.pool.get(client.id) is not None:
                await publish(gateway, {"type": "stats_update", "content": "x" * 50_000})

        (told,) = gateway.told("disconnection", connection_id=client.id)
        assert told["code"] == 4100
        await until(lambda: len(taps(gateway)) == 0, 2)
