"""From which web pages may a connection be opened: pure decisions about the ``Origin`` header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.\-]*)://(\[[0-9a-f:.]+\]|[a-z0-9_\-.]+)(?::([0-9]{1,5}))?")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_\-.]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PAGES: Final = {"ws": ("http", "https"), "wss": ("https",)}
"""
Schemes of the pages that belong to a socket's scheme. A proxy may end TLS without saying so, hence the two of ``ws``;
a page that came in the clear never belongs to a secured socket.
"""


class Origin(NamedTuple):
    """One web origin as RFC 6454 compares it: lower case, and the default port written out (0: the scheme has none)."""

    scheme: str
    host: str
    port: int


class Origins:
    """
    The origins that may connect, beside those of the gateway's own host when none were named.

    :param named: ``scheme://host[:port]`` each, or ``*`` for any.
    :raises ValueError: one is not an origin as a browser sends it.
    """

    __slots__ = ("_any", "_named")

    def __init__(self, named: Iterable[str] = ()) -> None:
        texts = tuple(named)
        self._any = "*" in texts
        self._named = frozenset(_configured(text) for text in texts if text != "*")

    def allow(self, origin: str | None, host: str, scheme: str = "ws", *, has_pages: bool = False) -> bool:
        """
        Whether a page of *origin* may connect.

        :param origin: the header; None is no browser, and no page can make a browser leave it out.
        :param host: the ``Host`` header of the same request.
        :param scheme: ``ws`` or ``wss``, as the request reached us.
        :param has_pages: whether we serve pages of our own where it wants to connect: these may, named or not.
        """
        if origin is None or self._any:
            return True
        page = parsed(origin)
        if page is None:
            return False
        return page in self._named or ((has_pages or not self._named) and _is_own(page, host, scheme))

    def allow_scope(self, scope: Mapping[str, Any], *, has_pages: bool = False) -> bool:
        """`allow` for an ASGI scope. Two ``Origin`` headers are none that a browser sends."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        origins = [value for name, value in headers if name == b"origin"]
        if not origins:
            return True
        hosts = [value for name, value in headers if name == b"host"]
        if len(origins) != 1 or len(hosts) != 1:
            return False
        return self.allow(
            origins[0].decode("latin-1"), hosts[0].decode("latin-1"), scope.get("scheme", "ws"), has_pages=has_pages
        )


def parsed(text: str) -> Origin | None:
    """The origin that *text* is; None for ``null``, for anything with a path, a user or a letter outside ASCII."""
    found = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        return None
    scheme, host, port = found.groups()
    return Origin(scheme, host, int(port) if port else _DEFAULT_PORTS.get(scheme, 0))


def _is_own(page: Origin, host: str, scheme: str) -> bool:
    found = _HOST.fullmatch(host.lower()) if host.isascii() else None
    if found is None or page.scheme not in _PAGES.get(scheme, ()):
        return False
    name, port = found.groups()
    return (page.host, page.port) == (name, int(port) if port else _DEFAULT_PORTS[page.scheme])


def _configured(text: str) -> Origin:
    origin = parsed(text.strip())
    if origin is None:
        raise ValueError(
            f"FAIRLEAD_ALLOWED_ORIGINS holds {text[:64]!r}; write scheme://host[:port] as browsers send it "
            "(no path, and international names as xn--…)"
        )
    return origin
