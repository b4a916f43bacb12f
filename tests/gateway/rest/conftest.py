"""A replica that the tests of a module may call as whom they like: a process of its own, or one inside their loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.gateway.patience import until
from tests.gateway.running import Gateway, serving, settings_for
from tests.support.replica import Replica, replicas


@pytest.fixture(scope="module")
def replica(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Replica]:
    """One replica, shared by the tests of a module."""
    prefix = request.module.__name__.rpartition(".")[2]
    with replicas(1, redis_url, prefix, lease_seconds=3, rate_messages_per_second=0) as (one,):
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(redis_url: str) -> AsyncIterator[Gateway]:
    settings = settings_for(redis_url, rate_messages_per_second=0, rate_bytes_per_second=0, ask_on_timeout="stop")
    async with serving(settings) as gateway:
        await until(lambda: gateway.manager.health_check()["status"] == "healthy", 5)
        yield gateway
