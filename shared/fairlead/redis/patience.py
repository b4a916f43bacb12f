"""Asking again while Redis is away, as long as whoever asked can wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from redis.exceptions import RedisError
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_delay

from fairlead.redis.outage import BACK_OFF, is_passing, unavailable

T = TypeVar("T")

_WHILE_AWAY: Final[dict[str, Any]] = {"retry": retry_if_exception(is_passing), "wait": BACK_OFF, "reraise": True}


async def patiently(seconds: float, ask: Callable[..., Awaitable[T]], *args: Any) -> T:
    """
    What *ask* returns, which may be asked twice.

    :raises Unavailable: it did not within *seconds*, or never will.
    """
    try:
        return await AsyncRetrying(stop=stop_after_delay(seconds), **_WHILE_AWAY)(ask, *args)
    except (RedisError, OSError) as error:
        raise unavailable(error) from error


def patiently_sync(seconds: float, ask: Callable[..., T], *args: Any) -> T:
    """As `patiently`, blocking."""
    try:
        return Retrying(stop=stop_after_delay(seconds), **_WHILE_AWAY)(ask, *args)
    except (RedisError, OSError) as error:
        raise unavailable(error) from error
