"""The address of an endpoint, and what is made of it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fairlead.errors import InvalidMessage


def checked_url(url: str) -> str:
    """:raises InvalidMessage: it is no address of a WebSocket."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("ws", "wss") and bool(parts.hostname) and not parts.fragment and parts.port != 0
    except ValueError:
        is_one = False
    if is_one:
        return url
    raise InvalidMessage(f"{url[:200]} is not a WebSocket address such as ws://127.0.0.1:8000/ws")


def waiting(url: str) -> str:
    """*url*, so that nothing goes live there before a first frame of ours."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("wait", "connect")]
    return urlunsplit(parts._replace(query=urlencode(query)))


def shown(url: str) -> str:
    """*url* as it may be told: what is behind the question mark may be a ticket."""
    return urlunsplit(urlsplit(url)._replace(query=""))


def is_here(url: str) -> bool:
    """Whether it is on this machine, where no proxy leads to."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
