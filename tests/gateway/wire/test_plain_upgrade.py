"""What the door reads by itself, httptools reads the same way; what is in doubt is left to httptools."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.wire.upgrade import Head, plain_upgrade

REQUEST = (
    b"GET /ws?x=1 HTTP/1.1\r\nHost: a:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Empty:\r\nX-Space: \t a b \r\n\r\n"
)


class Oracle:
    """The same bytes as httptools sees them."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        self.method, self.version = parser.get_method(), parser.get_http_version()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # RFC 9112 §5: white space round a value is not part of it; httptools leaves what stands behind.
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_whole = True

    def head(self) -> Head:
        return Head(self.method, self.url, self.version, self.headers)


def test_a_plain_upgrade_is_read_whole_and_what_follows_is_kept() -> None:
    found = plain_upgrade(REQUEST + b"\x81\x80abcd")

    assert found == (Oracle(REQUEST).head(), b"\x81\x80abcd")


@pytest.mark.parametrize("end", range(0, len(REQUEST), 7))
def test_a_head_that_is_not_whole_is_left_to_others(end: int) -> None:
    assert plain_upgrade(REQUEST[:end]) is None


@pytest.mark.parametrize(
    "broken",
    [
        REQUEST.replace(b"GET", b"POST"),
        REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0"),
        REQUEST.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        REQUEST.replace(b"X-Empty:", b"X Empty:"),
        REQUEST.replace(b"X-Empty:", b" X-Folded:"),
        REQUEST.replace(b"X-Empty:\r\n", b"X-Empty:\n"),
        REQUEST.replace(b"X-Empty:", b"X-Null: \x00"),
        REQUEST.replace(b"/ws?x=1", b"/w s"),
        REQUEST.replace(b"/ws?x=1", b"/w\xc3\xbcs"),
        REQUEST.replace(b"X-Empty:", b"X-Long: " + b"a" * 20_000),
        b"\r\n" + REQUEST,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + REQUEST,
    ],
)
def test_whatever_is_in_doubt_is_left_to_others(broken: bytes) -> None:
    assert plain_upgrade(broken) is None


@given(st.lists(st.tuples(st.text("AZaz-_!", min_size=1), st.binary(max_size=20)), max_size=6), st.binary(max_size=8))
def test_it_never_reads_anything_that_httptools_would_read_otherwise(
    headers: list[tuple[str, bytes]], rest: bytes
) -> None:
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    data = REQUEST[:-2] + lines + b"\r\n" + rest

    found = plain_upgrade(data)

    if found is not None:
        head, early = found
        assert head == Oracle(data[: len(data) - len(early)]).head()
        assert data.endswith(early)
