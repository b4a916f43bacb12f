"""A task that falls silent is noticed, once, and goes on when it says something (ST-2)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

import fairlead
from tests.gateway.patience import until, until_asked
from tests.gateway.running import new_user, serving, settings_for
from tests.gateway.sessions.test_watching_tasks import new_task

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_three_replicas_notice_each_silence_once(redis_url: str) -> None:
    settings = settings_for(redis_url)
    task, user = new_task(), new_user()
    async with AsyncExitStack() as stack:
        fleet = [await stack.enter_async_context(serving(settings)) for _ in range(3)]
        fl = await stack.enter_async_context(fairlead.connect(redis_url, prefix=settings.prefix))
        client = await fleet[0].connect(user)
        await client.ask("subscribe_task", task_id=task)
        await fl.update_task(task, owner=user, stalled_after=0.1)

        first = await client.hear("task_stalled")
        await fl.update_task(task, progress=50)
        back = await fl.get_task(task)
        second = await client.hear("task_stalled")
        task_now = await fl.get_task(task)
        late = await fleet[1].connect(user, "/ws/monitor/tasks")

        assert (first["task_id"], first["version"], second["version"]) == (task, 1, 2)
        assert first["since"] < second["since"] < second["timestamp"]
        assert back is not None
        assert back.stalled_since is None
        assert task_now is not None
        assert task_now.stalled_since == task_now.updated_at
        assert abs(task_now.updated_at - datetime.now(UTC)) < timedelta(seconds=60)
        assert (await late.hear("task_update"))["stalled_since"] == second["since"]
        await until(lambda: sum(len(one.told("task_stalled", task_id=task)) for one in fleet) == 2)

        await fl.update_task(task, status="completed")
        assert [message["type"] for message in await client.heard()].count("task_stalled") == 0


async def test_what_need_not_speak_is_never_noticed(redis_url: str) -> None:
    settings = settings_for(redis_url, task_stalled_seconds=0.1)
    patient, ended, waiting, silent = [new_task() for _ in range(4)]
    async with serving(settings) as gateway, fairlead.connect(redis_url, prefix=settings.prefix) as fl:
        await fl.update_task(patient, stalled_after=0)
        await fl.update_task(waiting, status="pending", stalled_after=0.1)
        await fl.update_task(ended, stalled_after=0.1)
        await fl.update_task(ended, status="failed")
        await fl.update_task(silent, stalled_after=0.2)

        async def has_stalled() -> bool:
            task = await fl.get_task(silent)
            return task is not None and task.stalled_since is not None

        await until_asked(has_stalled)
        assert {event["task_id"] for event in gateway.told("task_stalled")} == {silent}


async def test_the_setting_says_how_long_others_may_be_silent(redis_url: str) -> None:
    settings = settings_for(redis_url, task_stalled_seconds=0.1)
    task = new_task()
    async with serving(settings) as gateway, fairlead.connect(redis_url, prefix=settings.prefix) as fl:
        await fl.update_task(task)

        await until(lambda: gateway.told("task_stalled", task_id=task), 15)
