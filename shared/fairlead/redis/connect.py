"""Clients for Redis with our settings: bounded, without hidden retries, and greeted (see `fairlead.redis.greeting`)."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from fairlead.names import Names
from fairlead.redis.greeting import Greeting

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 5.0

_SPACES = re.compile(r"\s+")


def open_async(
    url: str,
    names: Names,
    *,
    client_name: str = "fairlead",
    max_connections: int = 16,
    answer_seconds: float | None = ANSWER_SECONDS,
) -> redis.asyncio.Redis:
    """
    A client for asyncio; connects when first used.

    :param max_connections: whoever needs one more waits, up to `CONNECT_SECONDS`.
    :param answer_seconds: how long a command may take; None for ever.
    :raises ValueError: for a URL that is none; the message does not repeat it, since it may hold a password.
    """
    try:
        options = _options(url, client_name, answer_seconds)
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=CONNECT_SECONDS,
            redis_connect_func=Greeting(names).greet,
            # Whoever repeats a command must know whether it was executed; redis-py's own retries do not.
            retry=AsyncRetry(NoBackoff(), 0),
            **options,
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
) -> redis.Redis:
    """A blocking client for threads; otherwise as `open_async`."""
    try:
        options = _options(url, client_name, answer_seconds)
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=CONNECT_SECONDS,
            redis_connect_func=Greeting(names).greet_sync,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError) as error:
        raise _not_a_url(error) from None
    return redis.Redis.from_pool(pool)


def _options(url: str, client_name: str, answer_seconds: float | None) -> dict[str, Any]:
    if url.count("://") != 1:
        raise ValueError("one scheme, please")
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "client_name": _SPACES.sub("-", client_name),
        "protocol": 2,
        "socket_connect_timeout": min(CONNECT_SECONDS, answer_seconds or CONNECT_SECONDS),
        "socket_timeout": answer_seconds,
    }
    if parts.scheme in ("redis", "rediss"):
        options["socket_keepalive"] = True
    if parts.scheme == "rediss" and parse_qs(parts.query).get("ssl_cert_reqs") != ["none"]:
        options["ssl_check_hostname"] = True
    return options


def _not_a_url(error: Exception) -> ValueError:
    reason = str(error) if "scheme" in str(error) or "keyword" in str(error) else type(error).__name__
    return ValueError(f"not the URL of one Redis, such as redis://user:password@host:6379/0 ({reason})")
