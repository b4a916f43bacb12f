"""One question to an HTTP service that the operator named, asked with the caution owed to a stranger."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Container, Mapping
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools

from fairlead.errors import Unavailable
from fairlead.version import __version__

DEADLINE_SECONDS: Final = 2.0
MAX_ANSWER_BYTES: Final = 64 * 1024
"""Head and body together."""

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Final = {"https": 443, "http": 80}
_METADATA: Final = frozenset(map(ip_address, ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")))
"""Where clouds hand out credentials to whoever asks from inside."""

_NAT64: Final = IPv6Network("64:ff9b::/96")


class Service:
    """
    An address that questions go to: https, or http on loopback; no redirects, two seconds, 64 KiB.

    :param setting: the variable that names it, for messages.
    :param tls: what is trusted instead of the system's authorities.
    :param outside_only: whether to refuse addresses of private networks as well (T18); a host that is called
        ``localhost`` is on loopback all the same.
    :raises ValueError: the address is none that may be asked.
    """

    def __init__(
        self, url: str, setting: str, tls: ssl.SSLContext | None = None, *, outside_only: bool = False
    ) -> None:
        parts = _checked(url, setting)
        self._setting = setting
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._authority = parts.netloc
        self._reach = _reach(self._host, parts.scheme, outside_only)

    async def get(self) -> bytes:
        """The body of a 200, or `Unavailable`."""
        return await self._ask(self._head("GET"))

    async def post(self, body: bytes) -> bytes:
        """The body of a 200 to the JSON *body*, or `Unavailable`."""
        facts = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return await self._ask(self._head("POST", facts) + body)

    async def deliver(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post the JSON *body* with *headers* beside ours; anything but a status of 200 to 299 is `Unavailable`."""
        facts = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        facts += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        await self._ask(self._head("POST", facts) + body, range(200, 300))

    def _head(self, method: str, facts: str = "") -> bytes:
        return (
            f"{method} {self._target} HTTP/1.1\r\nHost: {self._authority}\r\nUser-Agent: fairlead/{__version__}\r\n"
            f"Accept: application/json\r\nConnection: close\r\n{facts}\r\n"
        ).encode("ascii")

    async def _ask(self, request: bytes, good: Container[int] = (200,)) -> bytes:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await self._exchange(request, good)
        except TimeoutError as error:
            raise self._unavailable(f"did not answer within {DEADLINE_SECONDS:g} s") from error
        except ssl.SSLError as error:
            raise self._unavailable(f"has no certificate that we trust ({error.reason})") from error
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise self._unavailable(f"cannot be asked ({type(error).__name__})") from error

    async def _exchange(self, request: bytes, good: Container[int]) -> bytes:
        reader, writer = await self._connect()
        try:
            writer.write(request)
            status, body = await self._read(reader)
        finally:
            writer.transport.abort()
        if status not in good:
            raise self._unavailable(f"answered {status}, not 200; redirects are not followed")
        return body

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an address that was looked at first, so that the name cannot come to mean another."""
        found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        addresses = [str(facts[4][0]) for facts in found]
        allowed = [address for address in addresses if _may_ask(address, self._reach)]
        failure: OSError = PermissionError(f"{self._host} is at no address that may be asked")
        name = self._host if self._tls else None
        for address in allowed:
            try:
                return await asyncio.open_connection(address, self._port, ssl=self._tls, server_hostname=name)
            except OSError as error:
                failure = error
        raise failure

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        received = 0
        while not answer.is_complete and (data := await reader.read(MAX_ANSWER_BYTES)):
            received += len(data)
            if received > MAX_ANSWER_BYTES:
                raise self._unavailable(f"answered more than {MAX_ANSWER_BYTES} bytes")
            parser.feed_data(data)
        return parser.get_status_code(), bytes(answer.body)

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"the service of {self._setting} {what}; try again", setting=self._setting)


class _Answer:
    """What the parser of the response reports."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.is_complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.is_complete = True


def _checked(url: str, setting: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{setting} is not a URL: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{setting} must be an https URL")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{setting} must hold neither a user name nor a fragment")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK_NAMES:
        raise ValueError(f"{setting} must begin with https, as only loopback may be asked in the clear")
    return parts


class Reach(Enum):
    """Where a service may be."""

    HERE = "on this machine"
    INSIDE = "anywhere, private networks too"
    OUTSIDE = "where the whole world reaches it"


def _reach(host: str, scheme: str, outside_only: bool) -> Reach:
    if scheme == "http" or (outside_only and host in _LOOPBACK_NAMES):
        return Reach.HERE
    return Reach.OUTSIDE if outside_only else Reach.INSIDE


def _may_ask(address: str, reach: Reach) -> bool:
    ip = _meant(ip_address(address))
    if reach is Reach.HERE:
        return ip.is_loopback
    if reach is Reach.OUTSIDE and not ip.is_global:
        return False
    return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _METADATA)


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
