"""Tasks between backends and users, over several replica processes (ST-2, ASK-5, CON-1)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from uuid import uuid4

from redis import Redis as SyncRedis
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from tests.support.client import connected
from tests.support.replica import Replica, replicas, wait_until

NO_CLAIMS = {"topics": ("none",)}

WATCHERS = 150
ROUNDS = 4


def new(kind: str) -> str:
    return f"{kind}-{uuid4().hex[:10]}"


def monitor(replica: Replica) -> str:
    return f"{replica.url}/monitor/tasks"


async def test_each_watcher_of_many_tasks_hears_of_its_own_alone(fleet: list[Replica], backend: Backend) -> None:
    tasks = [new("t") for _ in range(WATCHERS)]
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(connected(fleet[number % 2].url, task, tasks=(task,)))
            for number, task in enumerate(tasks)
        ]
        for watcher, task in zip(watchers, tasks, strict=True):
            await watcher.ask("subscribe_task", task_id=task)
        for progress in range(1, ROUNDS + 1):
            await asyncio.gather(*(backend.update_task(task, progress=progress) for task in tasks))

        for watcher, task in zip(watchers, tasks, strict=True):
            heard = [await watcher.until("task_update") for _ in range(ROUNDS)]
            assert [(frame["task_id"], frame["progress"]) for frame in heard] == [
                (task, progress) for progress in range(1, ROUNDS + 1)
            ]
            await watcher.ask("ping")
            assert [frame for frame in watcher.frames if frame.get("task_id") not in (task, None)] == []


async def test_an_owner_watches_through_two_replicas_and_cancels_what_a_worker_does(
    fleet: list[Replica], backend: Backend
) -> None:
    task, user, friend = new("t"), new("u"), new("u")

    async def work() -> int:
        """A worker that asks before each device whether to go on; the devices that it came to."""
        for device in range(1000):
            if await backend.is_cancelled(task):
                return device
            await backend.update_task(task, progress=device / 10, ephemeral=True)
            await asyncio.sleep(0.01)
        raise AssertionError("nobody cancelled it")

    async with (
        connected(monitor(fleet[0]), user, **NO_CLAIMS) as phone,
        connected(monitor(fleet[1]), user, **NO_CLAIMS) as laptop,
        connected(fleet[1].url, friend, **NO_CLAIMS) as watching,
    ):
        await backend.update_task(task, owner=user, watchers=[friend])
        await watching.ask("subscribe_task", task_id=task)
        working = asyncio.create_task(work())
        for one in (phone, laptop, watching):
            await one.until(lambda frame: frame["type"] == "task_update" and frame.get("progress", 0) > 0)

        reply = await phone.ask("cancel", task_id=task)

        assert (reply["type"], reply["duplicate"]) == ("reply", False)
        for one in (phone, laptop, watching):
            news = await one.until("task_cancelled")
            assert (news["task_id"], news["user_id"]) == (task, user)
        assert await asyncio.wait_for(working, 5) > 0


async def test_a_page_that_is_loaded_again_shows_the_tasks_of_now_whatever_replica_died(
    redis_url: str, prefix: str
) -> None:
    user, before, after, done = new("u"), new("t"), new("t"), new("t")
    with replicas(2, redis_url, prefix, lease_seconds=3) as fleet:
        async with fairlead.connect(redis_url, prefix=prefix) as backend:
            await backend.update_task(before, owner=user, progress=10)
            async with connected(monitor(fleet[0]), user, **NO_CLAIMS) as page:
                assert (await page.until("task_update"))["progress"] == 10
                fleet[0].kill()
                await page.closed()
            await backend.update_task(before, progress=20)
            await backend.update_task(after, owner=user, progress=1)
            await backend.update_task(done, owner=user, status="completed")

            async with connected(monitor(fleet[1]), user, **NO_CLAIMS) as page:
                states = [await page.until("task_update") for _ in range(3)]
                await backend.update_task(before, progress=30)
                change = await page.until("task_update")

    assert {state["task_id"]: (state["status"], state.get("progress")) for state in states} == {
        before: ("running", 20),
        after: ("running", 1),
        done: ("completed", None),
    }
    assert (change["task_id"], change["progress"]) == (before, 30)


async def test_a_silence_is_noticed_once_by_three_replicas_one_of_which_dies(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    tasks = [new("t") for _ in range(20)]
    with replicas(3, redis_url, prefix, lease_seconds=3) as fleet:
        async with fairlead.connect(redis_url, prefix=prefix) as backend, connected(fleet[0].url, new("u")) as client:
            await client.ask("subscribe", channels=[f"task:{task}" for task in tasks])
            for number, task in enumerate(tasks):
                await backend.update_task(task, stalled_after=0.5 + number / 10)
            fleet[2].kill()

            stalled = [await client.until("task_stalled", 15) for _ in tasks]
            await asyncio.to_thread(
                wait_until, partial(_nothing_is_due, redis_url, names, tasks), 15, "all is looked at"
            )
            said = [await redis.xlen(names.log(f"task:{task}")) for task in tasks]

    assert sorted(frame["task_id"] for frame in stalled) == sorted(tasks)
    assert said == [2] * len(tasks), "an update and one notice each"


def _nothing_is_due(redis_url: str, names: Names, tasks: list[str]) -> bool:
    with SyncRedis.from_url(redis_url) as redis:
        return not any(redis.exists(names.tasks_due(task)) for task in tasks)
