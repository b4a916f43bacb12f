"""A question to Redis that ends: with an answer, or as `Unavailable`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.exceptions import RedisError

from fairlead.redis.outage import unavailable

DEADLINE_SECONDS: Final = 2.0


@asynccontextmanager
async def asking_redis() -> AsyncIterator[None]:
    """Whatever keeps Redis from answering in time becomes `Unavailable`: not knowing is never a yes."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except (RedisError, OSError) as error:
        raise unavailable(error) from error
