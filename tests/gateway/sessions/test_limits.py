"""How much one client may: frames, bytes, errors, channels, connections; and what it is told beyond that."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed

import fairlead
from tests.gateway.patience import until, until_asked
from tests.gateway.running import Client, Gateway, new_user, serving, settings_for
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_beyond_the_rate_of_messages_the_client_is_told_how_long_to_wait(redis_url: str) -> None:
    async with serving(settings_for(redis_url, rate_messages_per_second=5)) as gateway:
        client = await gateway.connect()
        for number in range(25):
            await client.say("ping", id=f"p{number}")

        answers = {f"p{number}": await client.answer(f"p{number}") for number in range(25)}
        refused = {ref: answer for ref, answer in answers.items() if answer["type"] == "error"}
        waits = [answer["detail"]["retry_ms"] for answer in refused.values()]
        await asyncio.sleep(max(waits) / 1000)
        after = await client.ask("ping")

        assert list(refused) == [f"p{number}" for number in range(20, 25)]
        assert {answer["code"] for answer in refused.values()} == {"rate_limited"}
        assert all(0 < wait <= 400 for wait in waits)
        assert after["type"] == "pong"


async def test_beyond_the_rate_of_bytes_the_client_is_told_how_long_to_wait(redis_url: str) -> None:
    async with serving(settings_for(redis_url, rate_messages_per_second=0, rate_bytes_per_second=10_000)) as gateway:
        client = await gateway.connect()

        answers = [await client.ask("ping", timestamp="x" * 10_000) for _ in range(5)]

        assert [answer["type"] for answer in answers] == ["pong"] * 3 + ["error"] * 2
        assert answers[-1]["code"] == "rate_limited"
        assert 0 < answers[-1]["detail"]["retry_ms"] < 2000


async def test_a_flood_of_errors_ends_with_4129(redis_url: str) -> None:
    async with serving(settings_for(redis_url, max_errors_per_minute=10)) as gateway:
        client, other = await gateway.connect(), await gateway.connect()

        for _ in range(11):
            await client.socket.send("nonsense")
        code, reason = await client.closed()

        assert (code, reason) == (4129, "flooding: too many errors")
        assert len(client.unheard) == 11
        assert (await other.ask("ping"))["type"] == "pong"


async def test_a_flood_of_pings_ends_with_4129_and_others_are_untouched(gateway: Gateway) -> None:
    client, other = await gateway.connect(), await gateway.connect()

    for _ in range(300):
        client.socket.protocol.send_ping(b"")
    client.socket.send_data()
    code, _ = await client.closed()

    assert code == 4129
    assert (await other.ask("ping"))["type"] == "pong"


async def test_a_message_larger_than_allowed_ends_with_1009(gateway: Gateway) -> None:
    client, other = await gateway.connect(), await gateway.connect()

    await client.socket.send("x" * (1024 * 1024))
    code, _ = await client.closed()

    assert code == 1009
    assert (await other.ask("ping"))["type"] == "pong"


async def test_no_more_channels_than_allowed_by_subscribing_or_by_joining(redis_url: str) -> None:
    async with serving(settings_for(redis_url, max_channels_per_connection=3)) as gateway:
        client = await gateway.connect()
        await client.ask("subscribe", channels=["topic:1", "topic:2"])
        await client.ask("join_session", session_id="s1")

        fourth = await client.ask("subscribe", channels=["topic:1", "topic:4"])
        fourth_session = await client.ask("join_session", session_id="s2")
        heard_already = await client.ask("subscribe", channels=["topic:1", "topic:2"])
        own = await client.ask("subscribe", channels=["broadcast"])
        await client.ask("unsubscribe", channels=["topic:2"])
        room_again = await client.ask("join_session", session_id="s2")

        assert (fourth["code"], fourth["detail"]) == ("rate_limited", {"limit": 3})
        assert (fourth_session["code"], fourth_session["detail"]) == ("rate_limited", {"limit": 3})
        assert heard_already["ok"] is own["ok"] is room_again["ok"] is True


async def test_one_connection_too_many_of_a_user_is_refused_with_4429(redis_url: str) -> None:
    async with serving(settings_for(redis_url, max_connections_per_user=2)) as gateway:
        user = new_user()
        first, second = await gateway.connect(user), await gateway.connect(user)

        refused = await gateway.open(bearer=token(user))
        code, reason = await refused.closed()
        await first.leave()
        await until(lambda: len(gateway.manager.pool) == 1)

        assert (code, reason) == (4429, "too_many_connections: at most 2 for each user")
        assert refused.unheard == []
        async with asyncio.timeout(5):
            while await outcome(await gateway.open(bearer=token(user))):
                await asyncio.sleep(0.01)
        assert (await second.ask("ping"))["type"] == "pong"


async def test_evicting_closes_the_oldest_with_4009(redis_url: str) -> None:
    settings = settings_for(redis_url, max_connections_per_user=2, user_limit_policy="evict")
    async with serving(settings) as gateway, serving(settings.model_copy(update={"replica": "other"})) as other:
        user = new_user()
        oldest, older = await gateway.connect(user), await other.connect(user)

        newest = await other.connect(user)

        assert await oldest.closed() == (4009, "replaced: by a newer connection")
        assert (await older.ask("ping"))["type"] == (await newest.ask("ping"))["type"] == "pong"
        assert gateway.told("disconnection", connection_id=oldest.id, code=4009)
        assert not gateway.told("user_disconnected", user_id=user)


async def test_single_closes_every_other_with_4009(redis_url: str) -> None:
    async with serving(settings_for(redis_url, user_limit_policy="single")) as gateway:
        user, stranger = new_user(), await gateway.connect()

        first = await gateway.connect(user)
        second = await gateway.connect(user)

        assert (await first.closed())[0] == 4009
        assert (await second.ask("ping"))["type"] == (await stranger.ask("ping"))["type"] == "pong"


async def test_of_many_who_replace_each_other_while_they_are_let_in_one_stays_and_is_seen(redis_url: str) -> None:
    async with serving(settings_for(redis_url, user_limit_policy="single")) as gateway:
        user, witness = new_user(), await gateway.connect()
        await witness.ask("join_session", session_id="s1")

        clients = await asyncio.gather(*(gateway.open("/ws/chat/session/s1", bearer=token(user)) for _ in range(20)))
        await until(lambda: len(gateway.manager.pool) == 2)
        survivors = {connection.id for connection in gateway.manager.pool} - {witness.id}

        async def others() -> bool:
            answer = await witness.ask("presence", channel="session:s1")
            connections = {one["user_id"]: one["connections"] for one in answer["users"]}
            return connections.get(user) == 1 and answer["count"] == 2

        await until_asked(others, what="the others are seen no more")
        ends = await asyncio.gather(*(first_or_end(client) for client in clients))
        assert sum(end in survivors for end in ends) == 1
        assert len(gateway.manager.pool.members("session:s1")) == 2


async def first_or_end(client: Client) -> str:
    """The connection id of a client that lives, else the code it was closed with."""
    try:
        greeting = await client.next()
        await client.ask("ping")
    except ConnectionClosed:
        return str((await client.closed())[0])
    return str(greeting["connection_id"])


async def test_a_full_replica_refuses_with_1013_and_never_holds_more(redis_url: str) -> None:
    settings = settings_for(redis_url, max_connections=3)
    async with serving(settings) as gateway, fairlead.connect(redis_url, prefix=settings.prefix) as backend:
        users = [new_user() for _ in range(8)]
        await backend.grant_session("s1", users)
        bearers = [token(user, topics=["none"]) for user in users]

        clients = await asyncio.gather(*(gateway.open("/ws/chat/session/s1", bearer=bearer) for bearer in bearers))
        ends = await asyncio.gather(*(outcome(client) for client in clients))

        assert sorted(ends) == [0] * 3 + [1013] * 5
        assert len(gateway.manager.pool) == 3


async def outcome(client: Client) -> int:
    """0 for a client who is greeted, else the code it is closed with."""
    try:
        return 0 if (await client.next())["type"] == "connection_established" else -1
    except ConnectionClosed:
        return (await client.closed())[0]


async def test_a_client_that_does_not_read_is_closed_as_a_slow_consumer(redis_url: str) -> None:
    async with serving(settings_for(redis_url, max_outbox_bytes=50_000)) as gateway:
        user = new_user()
        idler, reader = await gateway.connect(user, max_queue=1), await gateway.connect(user)
        text = "x" * 100_000

        for number in range(200):
            await gateway.manager.send_to_user(user, {"type": "flood", "content": text, "n": number})
            await reader.hear("flood")
            if gateway.told("disconnection", connection_id=idler.id):
                break

        assert [event["code"] for event in gateway.told("disconnection", connection_id=idler.id)] == [4100]
        assert (await reader.ask("ping"))["type"] == "pong"
