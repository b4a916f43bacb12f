"""What ``FAIRLEAD_REDIS_URL`` may say: one server, several, a master that sentinels know, or a cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import parse_qs, unquote, urlencode, urlsplit, urlunsplit

HostPort: TypeAlias = tuple[str, int]

EXAMPLES: Final = (
    "redis://user:password@host:6379/0, several of those with commas, "
    "redis+sentinel://h1:26379,h2:26379,h3:26379/service/0 or redis+cluster://h1:7000,h2:7001"
)

_SEPARATOR = re.compile(r",\s*(?=[a-z+]+://)")
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")


class Kind(Enum):
    """How the master is found."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(NamedTuple):
    """One place that was named."""

    kind: Kind
    name: str
    """What its share of the channels is reckoned from; says no password."""

    url: str
    """Of one Redis: credentials, database and options, and for a `Kind.SERVER` also where it is."""

    hosts: Sequence[HostPort] = ()
    """Sentinels, or some nodes of a cluster."""

    service: str = ""
    """What the sentinels call the master."""

    sentinel_url: str = ""
    """Credentials and options for the sentinels themselves."""


def addresses(url: str) -> list[Address]:
    """
    Every place that *url* names.

    :raises ValueError: what is wrong; the message does not repeat the URL, since it may hold a password.
    """
    found = [_address(part) for part in _SEPARATOR.split(url.strip())]
    names = [address.name for address in found]
    if len(set(names)) < len(names):
        raise ValueError("one Redis is named twice")
    if len(found) > 1 and any(address.kind is Kind.CLUSTER for address in found):
        raise ValueError("a cluster stands alone: it cannot be one of several")
    return found


def _address(url: str) -> Address:
    scheme, _, _ = url.partition("://")
    plain, _, kind = scheme.partition("+")
    if not kind:
        return Address(Kind.SERVER, _name(url), url)
    if plain not in ("redis", "rediss") or kind not in _PORTS:
        raise ValueError(f"the scheme is none that we know; say {EXAMPLES}")
    parts = urlsplit(url)
    userinfo, at, where = parts.netloc.rpartition("@")
    hosts = [_host(part, _PORTS[kind]) for part in where.split(",")]
    query = parse_qs(parts.query)
    sentinel = {name: query.pop(name, [""])[0] for name in _SENTINEL_OPTIONS}
    service, database = _path(parts.path, Kind(kind))
    one_host = _netloc(hosts[0])
    rest = urlencode(query, doseq=True)
    return Address(
        Kind(kind),
        service or "cluster",
        urlunsplit((plain, f"{userinfo}{at}{one_host}", f"/{database}", rest, "")),
        tuple(hosts),
        service,
        urlunsplit((plain, one_host, "", urlencode(_credentials(sentinel) | query, doseq=True), "")),
    )


def _credentials(sentinel: dict[str, str]) -> dict[str, list[str]]:
    return {name.removeprefix("sentinel_"): [value] for name, value in sentinel.items() if value}


def _path(path: str, kind: Kind) -> tuple[str, str]:
    """Service and database."""
    words = [unquote(word) for word in path.strip("/").split("/") if word]
    if kind is Kind.CLUSTER:
        if words and words != ["0"]:
            raise ValueError("a cluster has no databases: say nothing, or /0, after its nodes")
        return "", "0"
    if not words or len(words) > 2 or not words[-1:][0] or (len(words) == 2 and not words[1].isdecimal()):
        raise ValueError("after the sentinels comes the name of the service, and perhaps a database: /service/0")
    return words[0], words[1] if len(words) == 2 else "0"


def _host(text: str, port: int) -> HostPort:
    try:
        parts = urlsplit(f"//{text.strip()}")
        if parts.hostname:
            return parts.hostname, parts.port or port
    except ValueError:
        pass
    raise ValueError("each node is host or host:port, with commas between them")


def _netloc(host: HostPort) -> str:
    return f"[{host[0]}]:{host[1]}" if ":" in host[0] else f"{host[0]}:{host[1]}"


def _name(url: str) -> str:
    """Where a plain URL leads, without credentials; what is none is refused where it is opened."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] + (parts.path if parts.path not in ("", "/") else "/0")


def shown(url: str) -> str:
    """
    Where *url* leads, for people: every host with its port, no user, no password, no options.

    Of what is no URL that we know, nothing but that.
    """
    try:
        return ", ".join(map(_shown, addresses(url)))
    except ValueError:
        return "no address that we know"


def _shown(address: Address) -> str:
    hosts = ",".join(_netloc(host) for host in address.hosts)
    match address.kind:
        case Kind.SENTINEL:
            return f"{address.service} behind the Sentinels {hosts}"
        case Kind.CLUSTER:
            return f"the cluster of {hosts}"
    return address.name
