"""Tasks have an owner: what fails is told, and what must not end begins again."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from fairlead_gateway.sessions.tasks import Tasks

SECONDS = 5.0


async def test_what_has_no_end_begins_again_when_it_fails_and_that_is_told() -> None:
    tasks, begun = Tasks(), asyncio.Semaphore(0)

    async def fail() -> None:
        begun.release()
        raise ValueError("once more")

    with capture_logs() as logged:
        tasks.keep(fail, "service")
        async with asyncio.timeout(SECONDS):
            for _ in range(2):
                await begun.acquire()
        await tasks.end()

    assert [(entry["event"], entry["task"]) for entry in logged] == [("task failed", "service")] * 2


async def test_what_has_no_end_ends_with_its_owner() -> None:
    tasks, begun, ended = Tasks(), asyncio.Event(), asyncio.Event()

    async def last() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    kept = tasks.keep(last, "service")
    await begun.wait()
    async with asyncio.timeout(SECONDS):
        await tasks.end()

    assert ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await kept
