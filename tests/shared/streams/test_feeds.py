"""What backends hear from streams: each group everything, at least once, whoever dies (MSG-6, MSG-7)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.errors import InvalidMessage, Unavailable
from fairlead.names import Names
from fairlead.redis.connect import open_async
from fairlead.streams.events import Event
from fairlead.streams.feeds import Feed
from tests.support.redis import Server

AT = "2026-01-31T12:00:00.000Z"

CONSUMER_THAT_DIES = """
import asyncio, os, sys
import fairlead

async def main(url, prefix):
    async with fairlead.connect(url, prefix=prefix) as fl:
        async for event in fl.events("crm", consumer="doomed", from_start=True):
            print(event.facts["n"], flush=True)
            if event.facts["n"] == 20:
                os.kill(os.getpid(), 9)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=prefix, name="tests") as fl:
        yield fl


async def happen(redis: Redis, names: Names, *numbers: int, name: str = "x") -> None:
    """Events with these numbers."""
    for n in numbers:
        facts = json.dumps({"n": n})
        await redis.xadd(names.events, {"event": name, "facts": facts, "replica": "r1", "at": AT, "id": f"r1-{n}"})


async def said(redis: Redis, names: Names, **more: str) -> None:
    """One thing that a client says."""
    fields = {"action": "quote", "id": "a-1", "user_id": "42", "connection_id": "c1", "at": AT, "frame": "{}"}
    await redis.xadd(names.inbound, fields | more)  # type: ignore[arg-type]


async def take(feed: Feed[Event[Any]], count: int, seconds: float = 10.0) -> list[Any]:
    """The numbers of the next *count* events; the last one stays unacknowledged."""
    async with asyncio.timeout(seconds):
        return [(await anext(feed)).facts["n"] for _ in range(count)]


async def nothing(feed: Feed[Any], seconds: float = 0.3) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await anext(feed)


async def pending(redis: Redis, stream: str, group: str) -> int:
    return int((await redis.xpending(stream, group))["pending"])


# -- what is heard ------------------------------------------------------------------------------------


async def test_an_event_tells_what_happened_where_and_when(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.events("crm") as feed:
        await happen(redis, names, 7, name="user_connected")
        event = await anext(feed)

    assert (event.name, event.facts, event.id, event.replica) == ("user_connected", {"n": 7}, "r1-7", "r1")
    assert (event.at.isoformat(), event.deliveries) == ("2026-01-31T12:00:00+00:00", 0)
    assert "user_connected" in repr(event)


async def test_a_group_begins_now_or_with_what_there_is(fl: Backend, redis: Redis, names: Names) -> None:
    await happen(redis, names, 1, 2)
    async with fl.events("late") as late, fl.events("all", from_start=True) as everything:
        await happen(redis, names, 3)

        assert await take(late, 1) == [3]
        assert await take(everything, 3) == [1, 2, 3]


async def test_each_group_hears_everything_and_consumers_of_one_share_it(
    fl: Backend, redis: Redis, names: Names
) -> None:
    async with fl.events("crm") as one, fl.events("crm") as other, fl.events("billing") as alone:

        async def all_of(feed: Feed[Event[Any]], into: list[int]) -> None:
            async for event in feed:
                into.extend([event.facts["n"]])

        heard: list[list[int]] = [[], [], []]
        tasks = [asyncio.create_task(all_of(feed, into)) for feed, into in zip((one, other, alone), heard, strict=True)]
        for start in range(0, 300, 30):
            await happen(redis, names, *range(start, start + 30))
        async with asyncio.timeout(10):
            while len(heard[0]) + len(heard[1]) < 300 or len(heard[2]) < 300:
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert sorted(heard[0] + heard[1]) == list(range(300)) == heard[2]


async def test_only_what_is_wanted_is_heard_and_the_rest_is_acknowledged(
    fl: Backend, redis: Redis, names: Names
) -> None:
    async with fl.events("crm", types=["wanted"]) as feed:
        await happen(redis, names, 1, 2, 3)
        await happen(redis, names, 4, name="wanted")
        assert await take(feed, 1) == [4]
        await nothing(feed)

    assert await pending(redis, names.events, "crm") == 0


async def test_what_is_not_ours_is_passed_over_and_acknowledged(
    fl: Backend, redis: Redis, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    good = {"event": "x", "facts": "{}", "replica": "r1", "at": AT, "id": "1"}
    async with fl.events("crm") as feed:
        for garbage in (
            {"a": "b"},
            good | {"facts": "[1]"},
            good | {"facts": "{"},
            good | {"at": "yesterday"},
            good | {"event": b"\xff"},
        ):
            await redis.xadd(names.events, garbage)  # type: ignore[arg-type]
        await happen(redis, names, 1)
        assert await take(feed, 1) == [1]
    async with fl.inbound("bot") as inbound:
        for wrong in (
            {"frame": "[]"},
            {"frame": "{"},
            {"user_id": "a b"},
            {"connection_id": ""},
            {"channel": "nowhere"},
            {"at": "x"},
            {"deadline": "x"},
        ):
            await said(redis, names, **wrong)
        await said(redis, names, content="good")
        assert (await anext(inbound)).action == "quote"

    assert caplog.text.count("is not ours") == 12
    assert await pending(redis, names.events, "crm") == 1


@pytest.mark.parametrize(
    "wishes",
    [
        {"group": ""},
        {"group": "a b"},
        {"group": "x" * 65},
        {"group": "crm", "consumer": "a b"},
        {"group": "crm", "types": "user_connected"},
        {"group": "crm", "idle_seconds": 0},
        {"group": "crm", "max_deliveries": -1},
    ],
)
async def test_what_cannot_be_wished_for_is_refused_at_once(fl: Backend, wishes: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        fl.events(**wishes)


# -- at least once ------------------------------------------------------------------------------------


async def test_an_event_is_acknowledged_when_the_next_is_asked_for(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.events("crm") as feed:
        await happen(redis, names, 1, 2, 3)
        await take(feed, 1)
        assert await pending(redis, names.events, "crm") == 1
        await take(feed, 2)  # Taken together, acknowledged one by one.
        async with asyncio.timeout(5):
            while await pending(redis, names.events, "crm") != 1:
                await asyncio.sleep(0.01)
        await nothing(feed)
        assert await pending(redis, names.events, "crm") == 0


async def test_it_may_be_acknowledged_at_once(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.events("crm") as feed:
        await happen(redis, names, 1, 2)
        event = await anext(feed)
        await event.ack()
        assert await pending(redis, names.events, "crm") == 0
        await event.ack()
        assert await take(feed, 1) == [2]


async def test_what_a_loop_did_not_finish_comes_again_under_the_same_name(
    fl: Backend, redis: Redis, names: Names
) -> None:
    with pytest.raises(RuntimeError):
        async with fl.events("crm", consumer="one") as feed:
            await happen(redis, names, 1, 2, 3)
            async for event in feed:
                if event.facts["n"] == 2:
                    raise RuntimeError("in the middle")

    async with fl.events("crm", consumer="one") as again:
        event = await anext(again)
        assert (event.facts["n"], event.deliveries) == (2, 1)
        assert await take(again, 1) == [3]


async def test_what_a_quiet_consumer_has_goes_to_another(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.events("crm", idle_seconds=0.3) as quiet:
        await happen(redis, names, *range(10))
        assert await take(quiet, 4) == [0, 1, 2, 3]
        held = await pending(redis, names.events, "crm")
        await asyncio.sleep(0.4)

        async with fl.events("crm", idle_seconds=0.3) as heir:
            heard = await take(heir, 10 - 3)

    assert 1 <= held <= 7
    assert sorted(heard) == list(range(3, 10))


async def test_what_a_killed_process_had_goes_to_another(
    fl: Backend, redis_url: str, redis: Redis, names: Names
) -> None:
    await happen(redis, names, *range(50))
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CONSUMER_THAT_DIES, redis_url, names.prefix],
        timeout=30,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -9
    assert killed.stdout.split() == [str(n).encode() for n in range(21)]

    await asyncio.sleep(0.4)
    async with fl.events("crm", idle_seconds=0.3) as heir:
        heard = await take(heir, 30)

    assert sorted({*heard}) == list(range(20, 50))


async def test_what_fails_again_and_again_is_put_aside(fl: Backend, redis: Redis, names: Names) -> None:
    seen: list[int] = []
    await happen(redis, names, 1, 2)
    for _ in range(3):
        async with fl.events("crm", consumer="one", from_start=True, max_deliveries=3) as feed:
            event = await anext(feed)
            seen.append(event.deliveries)
            assert event.facts["n"] == 1
    async with fl.events("crm", consumer="one", max_deliveries=3) as feed:
        assert await take(feed, 1) == [2]

    assert seen == [0, 1, 2]
    ((_, dead),) = await redis.xrange(names.dead(names.events))
    assert (dead[b"group"], dead[b"deliveries"], dead[b"facts"]) == (b"crm", b"3", b'{"n": 1}')


async def test_what_was_trimmed_away_is_given_up(
    fl: Backend, redis: Redis, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    async with fl.events("crm", consumer="one") as feed:
        await happen(redis, names, 1)
        await take(feed, 1)
    await redis.xtrim(names.events, maxlen=0)
    async with fl.events("crm", consumer="one") as feed:
        await happen(redis, names, 2)
        assert await take(feed, 1) == [2]

    assert "trimmed away" in caplog.text
    assert await pending(redis, names.events, "crm") == 1


# -- when Redis comes and goes ------------------------------------------------------------------------


async def test_nothing_is_lost_when_redis_restarts(prefix: str) -> None:
    names = Names(prefix)
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        redis = open_async(server.url, names)
        heard: list[int] = []
        async with fairlead.connect(server.url, prefix=prefix) as fl, fl.events("crm") as feed:

            async def listen() -> None:
                async for event in feed:
                    heard.extend([event.facts["n"]])

            task = asyncio.create_task(listen())
            for start in (0, 100, 200):
                await happen(redis, names, *range(start, start + 100))
                await asyncio.to_thread(server.restart)
            async with asyncio.timeout(20):
                while len({*heard}) < 300:
                    await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await redis.aclose()

    assert sorted({*heard}) == list(range(300))


async def test_a_redis_that_forgot_everything_is_heard_again(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    async with fairlead.connect(own_server.url, prefix=names.prefix) as fl, fl.events("crm") as feed:
        await happen(redis, names, 1)
        assert await take(feed, 1) == [1]
        await asyncio.to_thread(own_server.restart)
        await happen(redis, names, 2)
        assert await take(feed, 1) == [2]
    await redis.aclose()


async def test_a_stream_that_somebody_deletes_is_formed_again(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.events("crm") as feed:
        waiting = asyncio.create_task(take(feed, 1))
        await asyncio.sleep(0.1)
        await redis.delete(names.events)
        await happen(redis, names, 5)
        assert await waiting == [5]


async def test_a_loop_that_waits_ends_when_the_backend_is_closed(redis_url: str, prefix: str) -> None:
    fl = fairlead.connect(redis_url, prefix=prefix)

    async def listen() -> list[object]:
        return [event async for event in fl.events("crm")]

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.2)
    await fl.close()

    async with asyncio.timeout(5):
        assert await task == []


async def test_what_redis_refuses_for_good_is_raised(fl: Backend, redis: Redis, names: Names) -> None:
    await redis.set(names.events, "not a stream")

    with pytest.raises(Unavailable, match="WRONGTYPE"):
        await anext(fl.events("crm"))


# -- blocking -----------------------------------------------------------------------------------------


async def test_threads_hear_the_same_way(redis_url: str, redis: Redis, names: Names) -> None:
    heard: list[int] = []
    with fairlead.connect_sync(redis_url, prefix=names.prefix) as fl:
        feed = fl.events("crm", consumer="one")
        feed.begin()

        def listen() -> None:
            for event in feed:
                heard.append(event.facts["n"])
                if event.facts["n"] == 99:
                    event.ack()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        await happen(redis, names, *range(100))
        async with asyncio.timeout(10):
            while len(heard) < 100:
                await asyncio.sleep(0.01)
        feed.close()
        await asyncio.to_thread(thread.join, 10)

    assert heard == list(range(100))
    assert not thread.is_alive()
    assert await pending(redis, names.events, "crm") == 0


async def test_a_thread_goes_on_after_redis_was_away(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    with fairlead.connect_sync(own_server.url, prefix=names.prefix) as fl, fl.events("crm") as feed:
        await happen(redis, names, 1)
        assert (await asyncio.to_thread(next, feed)).facts == {"n": 1}
        await asyncio.to_thread(own_server.restart)
        await happen(redis, names, 2)
        async with asyncio.timeout(10):
            assert (await asyncio.to_thread(next, feed)).facts == {"n": 2}
    await redis.aclose()
