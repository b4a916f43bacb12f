"""Redis away: sockets stay, actions that need it say so, and all of it works again by itself."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed

from tests.gateway.patience import until, until_asked
from tests.gateway.running import Client, Gateway, new_session, new_user, serving, settings_for
from tests.support.redis import Server
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def is_heard(gateway: Gateway, client: Client, user: str) -> bool:
    """Whether a message from a backend comes through to the client."""
    try:
        await gateway.manager.send_to_user(user, {"type": "again"})
        await client.hear("again")
    except Exception as error:  # noqa: BLE001 - Redis is on its way back
        assert "unavailable" in getattr(error, "code", "unavailable")
        return False
    return True


async def lets_in(gateway: Gateway) -> bool:
    client = await gateway.open(bearer=token(new_user()), open_timeout=15)
    greeted = await greeted_or_code(client) == 0
    await client.leave()
    return greeted


async def test_sockets_stay_actions_say_unavailable_newcomers_come_back_and_all_works_again(own_server: Server) -> None:
    async with serving(settings_for(own_server.url)) as gateway:
        user, session = new_user(), new_session()
        path = f"/ws/chat/session/{session}"
        client, *others = [await gateway.connect(user, path) for _ in range(3)]
        no_member = token(new_user(), topics=["none"])
        own_server.stop()
        await until(lambda: not gateway.manager.health_check()["checks"]["redis"], 5)

        async def from_the_lobby() -> tuple[int, str]:
            visitor = await gateway.open(path, open_timeout=15)
            await visitor.say("connect", token=no_member)
            return await visitor.closed(15)

        pong = await client.ask("ping")
        newcomers = [
            asyncio.create_task(gateway.refusal(bearer=token(new_user()), open_timeout=15)),
            asyncio.create_task(gateway.refusal(path, bearer=no_member, open_timeout=15)),
            asyncio.create_task(from_the_lobby()),
        ]
        answers = await asyncio.gather(
            client.ask("message", content="x"),
            others[0].ask("subscribe", channels=["topic:t"]),
            others[1].ask("presence", channel=f"session:{session}"),
        )
        ends = await asyncio.gather(*newcomers)
        left = len(gateway.manager.pool)
        own_server.start()

        assert pong["type"] == "pong"
        assert [answer["code"] for answer in answers] == ["unavailable"] * 3
        assert [(code, reason.partition(":")[0]) for code, reason in ends] == [(4102, "internal_error")] * 3
        assert left == 3
        await until(lambda: gateway.manager.health_check()["status"] == "healthy", 10)
        assert (await client.ask("message", content="y"))["ok"] is True
        assert (await client.ask("subscribe", channels=["topic:t"]))["ok"] is True
        assert await is_heard(gateway, client, user)
        await until_asked(lambda: lets_in(gateway), 10)


async def test_when_redis_forgot_everything_presence_and_limits_are_true_again(own_server: Server) -> None:
    settings = settings_for(own_server.url, max_connections_per_user=2, lease_seconds=2)
    async with serving(settings) as gateway:
        user, session = new_user(), new_session()
        clients = [await gateway.connect(user, f"/ws/chat/session/{session}") for _ in range(2)]

        own_server.restart()
        await until(lambda: gateway.manager.health_check()["status"] == "healthy", 10)

        async def both_seen() -> bool:
            answer = await clients[0].ask("presence", channel=f"session:{session}")
            return [(one["user_id"], one["connections"]) for one in answer.get("users", ())] == [(user, 2)]

        await until_asked(both_seen, 10)
        assert (await gateway.refusal(bearer=token(user)))[0] == 4429


async def test_the_limit_of_a_user_holds_while_a_replica_takes_its_lease(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(settings_for(redis_url, max_connections_per_user=2)) as gateway:
        parts, subscribed = gateway.manager._parts, asyncio.Event()
        want = parts.replica.interest.want

        async def want_slowly(*channels: str) -> None:
            await want(*channels)
            await subscribed.wait()

        monkeypatch.setattr(parts.replica.interest, "want", want_slowly)
        user = new_user()
        opening = [asyncio.create_task(gateway.open(bearer=token(user))) for _ in range(6)]
        await until(lambda: len(gateway.manager.pool) == 6)
        await parts._reseat(False)
        subscribed.set()

        ends = [await greeted_or_code(client) for client in await asyncio.gather(*opening)]

        assert sorted(ends) == [0, 0, *[4429] * 4]
        assert len(gateway.told("user_connected", user_id=user)) == 1


async def greeted_or_code(client: Client) -> int:
    try:
        await client.next()
    except ConnectionClosed:
        return (await client.closed())[0]
    return 0


async def test_a_killed_subscription_loses_no_client(own_server: Server) -> None:
    async with serving(settings_for(own_server.url)) as gateway:
        user = new_user()
        client = await gateway.connect(user)
        shards = gateway.manager._parts._shards

        await shards.ask(("CLIENT", "KILL", "TYPE", "pubsub"))
        await until(lambda: not gateway.manager.health_check()["checks"]["redis"], 5)
        await until(lambda: gateway.manager.health_check()["checks"]["redis"], 5)
        async with asyncio.timeout(5):
            assert await is_heard(gateway, client, user)
