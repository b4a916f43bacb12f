"""What tests of the shared library have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fairlead.names import Names
from fairlead.publishing.publisher import Publisher


@pytest.fixture
async def publisher(redis: Redis, names: Names) -> AsyncIterator[Publisher]:
    publisher = Publisher(redis, names, history_size=100, history_ttl_seconds=50)
    yield publisher
    await publisher.aclose()
