"""Redis has no memory left: who is here may listen, leave and read; nothing false is said; then all works again."""

from __future__ import annotations

from redis.asyncio import Redis

from fairlead.names import Names
from tests.gateway.patience import until_asked
from tests.gateway.running import new_session, new_user, serving, settings_for
from tests.support.redis import Server
from tests.support.replica import token


async def test_a_full_redis_stores_nothing_lets_everybody_leave_and_recovers(binary: str) -> None:
    user, session = new_user(), new_session()
    with Server("--maxmemory-policy", "noeviction", binary=binary) as server:
        settings = settings_for(server.url, lease_seconds=2.0)
        redis, names = Redis.from_url(server.url), Names(settings.prefix)
        async with serving(settings) as gateway:
            client = await gateway.connect(user, f"/ws/chat/session/{session}")
            leaver = await gateway.connect(user)
            await client.ask("subscribe", channels=["topic:t"])
            await redis.config_set("maxmemory", 1)

            refused = await client.ask("message", session_id=session, content="lost?")
            answers = [
                await client.ask("ping"),
                await client.ask("unsubscribe", channels=["topic:t"]),
                await client.ask("presence", channel=f"session:{session}"),
                await client.ask("typing", session_id=session, is_typing=True),
            ]
            code, _ = await gateway.refusal(bearer=token(new_user()))
            await leaver.leave()
            gateway.clients.remove(leaver)

            async def has_left() -> bool:
                return await redis.hlen(names.conns(user)) == 1

            await until_asked(has_left, 5)
            assert await redis.zscore(names.replicas, gateway.manager.replica_id) is not None

            await redis.config_set("maxmemory", 0)
            stored = await client.ask("message", session_id=session, content="kept")
            await gateway.connect(user)

        assert (refused["type"], refused["code"]) == ("error", "unavailable")
        assert "no memory left" in refused["message"]
        assert [answer["type"] for answer in answers] == ["pong", "reply", "reply", "reply"]
        assert code == 4102
        assert (stored["type"], stored["offset"]) == ("reply", 1)
        await redis.aclose()
