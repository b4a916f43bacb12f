"""The Celery example, in a real worker that is killed while it waits for the answer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from tests.examples.conftest import answered, example, kill, questions
from tests.support.client import connected
from tests.support.processes import children_of
from tests.support.replica import Replica, wait_until

SECONDS = 60.0
VISIBILITY_SECONDS = 1
"""After so long Redis gives out again what a worker took and never finished; two hours in the example."""

WORKER = f"""
from celery_task import app
app.conf.broker_transport_options = {{"visibility_timeout": {VISIBILITY_SECONDS}}}
app.worker_main(["worker", "--concurrency=1", "--without-gossip", "--without-mingle", "--loglevel=INFO"])
"""


@pytest.fixture
def celery(redis_url: str) -> Iterator[Celery]:
    """Whoever has the task done."""
    with Celery("caller", broker=redis_url, backend=redis_url) as app:
        yield app


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "celery.log"


def worker(redis_url: str, log: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return example(redis_url, log, "-c", WORKER)


async def received(log: Path, times: int) -> None:
    await asyncio.to_thread(
        wait_until, lambda: log.read_text().count("] received") >= times, SECONDS, f"received {times} times"
    )


async def result(done: Any) -> str:
    return str(await asyncio.to_thread(done.get, timeout=SECONDS))


async def test_a_task_goes_on_when_somebody_says_so(
    fleet: list[Replica], redis_url: str, celery: Celery, log: Path
) -> None:
    async with connected(fleet[0].url, "ada") as ada:
        with worker(redis_url, log):
            yes = celery.send_task("celery_task.roll_out", ["ada", [1, 2, 3]])
            asked = await ada.until("task_step_result", SECONDS)
            await answered(ada, asked, proceed=True)
            no = celery.send_task("celery_task.roll_out", ["ada", [1, 2, 3]])
            again = await ada.until("task_step_result", SECONDS)
            await answered(ada, again, proceed=False, feedback="not today")

            assert await result(yes) == "applied to 3 ports, as ada said"
            assert await result(no) == "stopped: not today"

    assert (asked["task_id"], again["task_id"]) == (yes.id, no.id)
    assert asked["confirm"]["on_timeout"] == "stop"


async def test_a_task_whose_process_is_killed_waits_on_for_the_same_answer(
    fleet: list[Replica], redis_url: str, celery: Celery, log: Path
) -> None:
    async with connected(fleet[1].url, "ben") as ben:
        with worker(redis_url, log) as running:
            done = celery.send_task("celery_task.roll_out", ["ben", [7]])
            asked = await ben.until("task_step_result", SECONDS)

            (process,) = children_of(running.pid)
            os.kill(process, signal.SIGKILL)
            await received(log, 2)
            await answered(ben, asked, proceed=True)

            assert await result(done) == "applied to 1 ports, as ben said"
        assert questions(ben) == {asked["callback_id"]}


async def test_an_answer_finds_the_task_of_a_worker_that_was_dead_when_it_came(
    fleet: list[Replica], redis_url: str, celery: Celery, log: Path
) -> None:
    async with connected(fleet[0].url, "cleo") as cleo:
        with worker(redis_url, log) as running:
            done = celery.send_task("celery_task.roll_out", ["cleo", [7, 8]])
            asked = await cleo.until("task_step_result", SECONDS)
            kill(running)
        await answered(cleo, asked, proceed=True)
        await asyncio.to_thread(wait_until, lambda: is_due_again(redis_url), SECONDS, "the broker gives it out again")

        with worker(redis_url, log):
            assert await result(done) == "applied to 2 ports, as cleo said"
        assert questions(cleo) == {asked["callback_id"]}


def is_due_again(redis_url: str) -> bool:
    """Whether what was taken and not finished was taken long enough ago."""
    with redis.Redis.from_url(redis_url) as client:
        ((_, taken),) = client.zrange("unacked_index", -1, -1, withscores=True)
    return time.time() > taken + VISIBILITY_SECONDS
