"""What a hostile tenant, or another version, has written into Redis: nothing fails of it, and the overseer goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from fairlead.names import Names
from fairlead.redis.connect import open_async
from tests.gateway.patience import until_asked
from tests.support.client import connected
from tests.support.replica import Replica
from tests.support.rest import rest

NAMES: Final = Names("test_damaged")

NO_TEXT: Final = b"\xff\xfe"
HUGE: Final = b"9" * 5000
FOR_LONG: Final = 4e12
END_OF_TIME: Final = "18446744073709551614-1"

FAILURES: Final = ("task failed", "request failed", "Traceback")

PATHS: Final = (
    *("/stats", "/stats/history", "/replicas", "/instances", "/instances/i", "/sessions", "/sessions/s"),
    *("/online-users", "/connections", "/history", "/audit", "/confirmations", "/confirmations?user_id=42"),
    *("/tasks", "/tasks/t1", "/tasks/t2", "/tasks/t3", "/notifications/n1~42", "/notifications/n2~42"),
    *("/messages/m1/trace", "/messages/m2/trace?channel=user:42", "/tokens/revoked", "/alerts", "/health"),
)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with open_async(redis_url, NAMES) as client:
        yield client


async def damage(redis: Redis) -> None:
    """Write what nobody of ours would, beside what there is and in its place."""
    for nameless in (NAMES.replicas, NAMES.stats_known, NAMES.stats_lost, NAMES.asks_due("x"), NAMES.asks("user:42")):
        await redis.zadd(nameless, {NO_TEXT: FOR_LONG})
    await redis.zadd(NAMES.tasks_going_on("t1"), {NO_TEXT: 1})
    for nameless in (NAMES.online(0), NAMES.sessions(0)):
        await redis.sadd(nameless, NO_TEXT, "no id")
    figures: dict[Any, Any] = {
        "messages_sent": HUGE[:40],
        "errors": HUGE[:400],
        "@moves": HUGE,
        "action_ms:0": HUGE[:19],
    }
    await redis.zadd(NAMES.stats_known, {"other": FOR_LONG})
    await redis.hset(NAMES.stats_of("other")[0], mapping=figures | {"disconnections": "nan", NO_TEXT: 1})
    await redis.hset(NAMES.stats, "messages_received", HUGE[:40])
    await redis.xadd(NAMES.stats_history, {"sample": b'{"at":9223372036854775807,"figures":[1e300]}'})
    watch = b'{"id":"a","since":9223372036854775807,"value":1.0,"fired":1,"calm":0}'
    await redis.hset(NAMES.alerts, mapping={"not_ready r1": watch, "error_rate ": b"{", NO_TEXT: NO_TEXT})
    for past in (b"{", b"[]", b'{"state":"resolved"}', NO_TEXT):
        await redis.zadd(NAMES.alerts_past, {past: 1})
    await redis.hset(NAMES.task("t1"), "@version", "1e308")
    await redis.hset(NAMES.task("t2"), NO_TEXT, "1")
    await redis.hset(NAMES.task("t3"), mapping={"status": "5", "progress": '"x"'})
    await redis.hset(NAMES.ack("user:42", "n1"), mapping={"state": "pending", "deadline": HUGE})
    await redis.hset(NAMES.ack("user:42", "n2"), "state", "pending")
    await redis.hset(NAMES.meta("instance:i"), "o", HUGE)
    await redis.hset(NAMES.instance_state("i"), mapping={"version": HUGE, "folded": HUGE})


async def test_whatever_stands_in_redis_nothing_fails_of_it(replica: Replica, redis: Redis) -> None:
    async with connected(replica.url, "42") as client, rest(replica, "admin") as api:
        await client.ask("join_session", session_id="s")
        for task in ("t1", "t2", "t3"):
            await api.ask("PUT", f"/tasks/{task}", {"status": "running"})
        message = {"type": "x", "timestamp": "9999-12-31T23:59:59-14:00"}
        await api.post("/users/42/messages", {"message": message, "message_id": "m2"})
        await damage(redis)
        length = await redis.xlen(NAMES.stats_history)

        answers = {path: await api.ask("GET", path) for path in PATHS}

        async def goes_on() -> bool:
            return bool(await redis.xlen(NAMES.stats_history) >= length + 2)

        await until_asked(goes_on, 10, "the overseer writes the history")
        stats = await api.get("/stats")
    damaged = {"/instances/i", "/tasks/t1", "/tasks/t2", "/tasks/t3", "/messages/m1/trace"}
    assert {path: answer for path, answer in answers.items() if answer[0] != 200 and path not in damaged} == {}
    assert {answers[path][0] for path in damaged} <= {200, 404, 503}
    assert (stats["total_connections"], stats["messages_received"] < 2**53) == (1, True)
    assert not [line for line in replica.log.splitlines() if any(sign in line for sign in FAILURES)]
