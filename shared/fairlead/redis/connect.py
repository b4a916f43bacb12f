"""Clients for Redis with our settings: bounded, without hidden retries, and greeted (see `fairlead.redis.greeting`)."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import redis
import redis.asyncio
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider
from redis.retry import Retry

from fairlead.names import Names
from fairlead.redis.greeting import Greeting
from fairlead.redis.timed import TIMED

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
        bare, options = _options(url, client_name, answer_seconds)
        options |= parse_url(bare)
        options["connection_class"] = TIMED[options.get("connection_class", redis.asyncio.Connection)]
        pool = redis.asyncio.BlockingConnectionPool(
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
        bare, options = _options(url, client_name, answer_seconds)
        pool = redis.BlockingConnectionPool.from_url(
            bare,
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


def _options(url: str, client_name: str, answer_seconds: float | None) -> tuple[str, dict[str, Any]]:
    """*url* without credentials, and all that it does not say; redis-py shows in reprs what a URL says."""
    if url.count("://") != 1:
        raise ValueError("one scheme, please")
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    options: dict[str, Any] = {
        "client_name": _SPACES.sub("-", client_name),
        "protocol": 2,
        "socket_connect_timeout": min(CONNECT_SECONDS, answer_seconds or CONNECT_SECONDS),
        "socket_timeout": answer_seconds,
    }
    username = unquote(parts.username or "") or query.pop("username", [""])[0]
    password = unquote(parts.password or "") or query.pop("password", [""])[0]
    if username or password:
        options["credential_provider"] = UsernamePasswordCredentialProvider(username, password)
    if parts.scheme in ("redis", "rediss"):
        options["socket_keepalive"] = True
    if parts.scheme == "rediss" and query.get("ssl_cert_reqs") != ["none"]:
        options["ssl_check_hostname"] = True
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}?{urlencode(query, doseq=True)}", options


def _not_a_url(error: Exception) -> ValueError:
    reason = str(error) if "scheme" in str(error) or "keyword" in str(error) else type(error).__name__
    return ValueError(f"not the URL of one Redis, such as redis://user:password@host:6379/0 ({reason})")
