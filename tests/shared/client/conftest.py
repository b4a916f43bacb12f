"""A scripted gateway, and a look at what a client leaves behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.clients.scripted import Scripted


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """Fails where a task of a client is there after the test, or an exception that nobody has looked at."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    yield
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("fairlead client")]
    gc.collect()
    await asyncio.sleep(0)
    assert left == []
    assert complaints == []
