"""Clients for Redis with our settings: bounded, without hidden retries, and greeted (see `fairlead.redis.greeting`)."""

from __future__ import annotations

from typing import Final

import redis
import redis.asyncio

from fairlead.names import Names
from fairlead.redis.greeting import Greeting
from fairlead.redis.options import CONNECT_SECONDS, async_options, sync_options
from fairlead.redis.placed import Place

ANSWER_SECONDS: Final = 5.0


def open_async(
    url: str,
    names: Names,
    *,
    client_name: str = "fairlead",
    max_connections: int = 16,
    answer_seconds: float | None = ANSWER_SECONDS,
    place: Place | None = None,
    greeting: Greeting | None = None,
) -> redis.asyncio.Redis:
    """
    A client for asyncio, of one server; connects when first used.

    :param max_connections: whoever needs one more waits, up to `CONNECT_SECONDS`.
    :param answer_seconds: how long a command may take; None for ever.
    :param place: where to connect to, if that is not for *url* to say.
    :param greeting: what to say first, if not what is said to a server that has everything.
    :raises ValueError: for a URL that is none; the message does not repeat it, since it may hold a password.
    """
    try:
        pool = redis.asyncio.BlockingConnectionPool(
            max_connections=max_connections,
            timeout=CONNECT_SECONDS,
            redis_connect_func=(greeting or Greeting(names)).greet,
            **async_options(url, client_name, answer_seconds, place),
        )
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError) as error:
        raise _not_a_url(error) from None
    return redis.asyncio.Redis.from_pool(pool)


def open_sync(
    url: str,
    names: Names,
    *,
    client_name: str = "fairlead",
    max_connections: int = 16,
    answer_seconds: float | None = ANSWER_SECONDS,
    place: Place | None = None,
    greeting: Greeting | None = None,
) -> redis.Redis:
    """A blocking client for threads; otherwise as `open_async`."""
    try:
        pool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]
            max_connections=max_connections,
            timeout=CONNECT_SECONDS,
            redis_connect_func=(greeting or Greeting(names)).greet_sync,
            **sync_options(url, client_name, answer_seconds, place),
        )
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError) as error:
        raise _not_a_url(error) from None
    return redis.Redis.from_pool(pool)


def _not_a_url(error: Exception) -> ValueError:
    reason = str(error) if "scheme" in str(error) or "keyword" in str(error) else type(error).__name__
    return ValueError(f"not the URL of one Redis, such as redis://user:password@host:6379/0 ({reason})")
