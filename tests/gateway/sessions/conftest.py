"""One replica for all tests of a module; its limits are out of the way, and each test brings users of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.gateway.running import Gateway, serving, settings_for


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(redis_url: str) -> AsyncIterator[Gateway]:
    settings = settings_for(
        redis_url, rate_messages_per_second=0, rate_bytes_per_second=0, max_errors_per_minute=1000, compression=True
    )
    async with serving(settings) as gateway:
        yield gateway
