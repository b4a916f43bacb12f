"""The options of every connection: what a URL says, without its password where that could be shown, and our own."""

from __future__ import annotations

import re
from inspect import signature
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import redis.asyncio.connection
import redis.connection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider
from redis.retry import Retry

from fairlead.redis.placed import Place, PlacedConnection, PlacedSSLConnection
from fairlead.redis.timed import TIMED

CONNECT_SECONDS: Final = 5.0

_SPACES = re.compile(r"\s+")

_UNINTRODUCED: Final[dict[str, Any]] = (
    {"driver_info": None}
    if "driver_info" in signature(redis.connection.AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)
"""Keeps redis-py from telling its name and version: two commands, and a right that no server before 7.2 can give."""

_PLACED: Final = {
    redis.connection.Connection: PlacedConnection,
    redis.connection.SSLConnection: PlacedSSLConnection,
}


def async_options(url: str, client_name: str, answer_seconds: float | None, place: Place | None) -> dict[str, Any]:
    """
    What an asyncio connection is made with, its class included.

    :param place: where to connect to, if that is not for *url* to say.
    :raises ValueError: or ``TypeError``: *url* is none.
    """
    bare, options = _options(url, client_name, answer_seconds)
    options |= redis.asyncio.connection.parse_url(bare)
    options["connection_class"] = TIMED[options.get("connection_class", redis.asyncio.connection.Connection)]
    # Whoever repeats a command must know whether it was executed; redis-py's own retries do not.
    options["retry"] = AsyncRetry(NoBackoff(), 0)
    return options | ({"place": place} if place else {})


def sync_options(url: str, client_name: str, answer_seconds: float | None, place: Place | None) -> dict[str, Any]:
    """As `async_options`, for blocking connections."""
    bare, options = _options(url, client_name, answer_seconds)
    options |= redis.connection.parse_url(bare)  # type: ignore[no-untyped-call]
    options["retry"] = Retry(NoBackoff(), 0)
    kind = options.setdefault("connection_class", redis.connection.Connection)
    return options | ({"place": place, "connection_class": _PLACED[kind]} if place else {})


def _options(url: str, client_name: str, answer_seconds: float | None) -> tuple[str, dict[str, Any]]:
    """*url* without credentials, and all that it does not say; redis-py shows in reprs what a URL says."""
    if url.count("://") != 1:
        raise ValueError("one scheme, please")
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    options: dict[str, Any] = {
        "client_name": _SPACES.sub("-", client_name),
        "protocol": 2,
        **_UNINTRODUCED,
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
