"""From which pages a connection may be opened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.edge.origin import Origins, parsed

HOST = "gateway.example.com"
NAMED = Origins(
    [
        "https://app.example.com",
        "http://localhost:3000",
        "https://xn--bcher-kva.example",
        "capacitor://localhost",
        "https://[2001:db8::1]:8443",
    ]
)
OWN = Origins()


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "https://app.example.com:443",
        "HTTPS://App.Example.COM",
        "http://localhost:3000",
        "https://xn--bcher-kva.example",
        "capacitor://localhost",
        "https://[2001:DB8::1]:8443",
    ],
)
def test_a_named_origin_may_connect_however_it_is_spelt(origin: str) -> None:
    assert NAMED.allow(origin, HOST)


def test_pages_of_our_own_may_connect_where_we_serve_them_though_others_are_named() -> None:
    assert NAMED.allow(f"http://{HOST}", HOST, has_pages=True)
    assert not NAMED.allow(f"http://{HOST}", HOST)
    assert not NAMED.allow("http://evil.example.com", HOST, has_pages=True)


HOSTILE = [
    "https://app.example.com.evil",
    "https://app.example.com.evil.com",
    "https://evil-app.example.com",
    "https://evilapp.example.com",
    "https://sub.app.example.com",
    "https://example.com",
    "https://app.example.com:8443",
    "https://app.example.com:80",
    "http://app.example.com",
    "http://app.example.com:443",
    "wss://app.example.com",
    "https://app.example.com/",
    "https://app.example.com/path",
    "https://app.example.com?x",
    "https://app.example.com#x",
    "https://app.example.com.",
    "https://app.example.com:",
    "https://app.example.com:443443",
    "https://app.example.com@evil.com",
    "https://user:pass@app.example.com",
    "https://evil.com\\app.example.com",
    "https://app.example.com evil.com",
    "https://app.example.com https://app.example.com",
    "https://app.example.com\t",
    "https://app.example.com\n",
    " https://app.example.com",
    "https://app.example.com\0",
    "https://app%2eexample.com",
    "https://bücher.example",
    "https://xn--bcher-kva.example.evil",
    "https://ａpp.example.com",
    "https://аpp.example.com",
    "https://app。example.com",
    "http://localhost",
    "http://localhost:3001",
    "http://127.0.0.1:3000",
    "https://[2001:db8::1]",
    "https://[2001:db8:0::1]:8443",
    "capacitor://localhost:1",
    "file://",
    "null",
    "NULL",
    "*",
    "",
    "//app.example.com",
    "app.example.com",
    "https:app.example.com",
    "https://gateway.example.com",
]


@pytest.mark.parametrize("origin", HOSTILE)
def test_any_other_origin_may_not(origin: str) -> None:
    assert not NAMED.allow(origin, HOST)


def test_no_origin_is_no_page_and_may_connect() -> None:
    assert NAMED.allow(None, HOST) and OWN.allow(None, HOST)


@pytest.mark.parametrize("origin", ["https://anything.example", "http://localhost", "null", "nonsense"])
def test_a_star_lets_every_page_connect(origin: str) -> None:
    assert Origins(["*"]).allow(origin, HOST)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://localhost:8000", "localhost:8000", "ws"),
        ("https://app.example.com", "app.example.com", "ws"),
        ("https://app.example.com", "app.example.com", "wss"),
        ("https://app.example.com", "App.Example.com:443", "wss"),
        ("http://app.example.com", "app.example.com:80", "ws"),
        ("https://app.example.com:8443", "app.example.com:8443", "ws"),
        ("http://[::1]:8000", "[::1]:8000", "ws"),
    ],
)
def test_when_none_is_named_a_page_of_the_same_host_and_port_may_connect(origin: str, host: str, scheme: str) -> None:
    assert OWN.allow(origin, host, scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://localhost:8000", "localhost:8001", "ws"),
        ("http://localhost:8000", "127.0.0.1:8000", "ws"),
        ("http://localhost:8000", "localhost", "ws"),
        ("http://app.example.com", "app.example.com", "wss"),
        ("http://app.example.com", "app.example.com:443", "ws"),
        ("https://app.example.com.evil", "app.example.com", "ws"),
        ("https://evil.com", "app.example.com", "ws"),
        ("capacitor://app.example.com", "app.example.com", "ws"),
        ("null", "app.example.com", "ws"),
        ("null", "null", "ws"),
        ("https://app.example.com", "", "ws"),
        ("https://app.example.com", "app.example.com/x", "ws"),
        ("https://app.example.com", "user@app.example.com", "ws"),
        ("https://app.example.com", "äpp.example.com", "ws"),
        ("https://app.example.com", "app.example.com", "gopher"),
    ],
)
def test_a_page_of_another_host_port_or_weaker_scheme_may_not(origin: str, host: str, scheme: str) -> None:
    assert not OWN.allow(origin, host, scheme)


@pytest.mark.parametrize(
    "text", ["app.example.com", "https://app.example.com/", "null", "https://*.example.com", "https://bücher.example"]
)
def test_an_allow_list_that_no_browser_would_match_is_refused_at_start(text: str) -> None:
    with pytest.raises(ValueError, match="FAIRLEAD_ALLOWED_ORIGINS"):
        Origins([text])


@given(st.text(max_size=40) | st.text("htps:/.ap[]@0é", max_size=40), st.text(max_size=20))
def test_no_header_makes_the_check_stumble_or_say_yes(origin: str, host: str) -> None:
    assert not NAMED.allow(origin, host)


@given(st.from_regex(r"[a-z]{2,8}(\.[a-z]{2,8}){1,3}", fullmatch=True), st.integers(1, 65535))
def test_an_origin_is_itself_and_not_its_neighbours(host: str, port: int) -> None:
    origin = f"https://{host}:{port}"
    one = Origins([origin])

    assert one.allow(origin, HOST) and one.allow(origin.upper(), HOST)
    assert not any(
        one.allow(other, HOST) for other in (f"{origin}0", f"https://x{host}:{port}", f"https://{host}.x:{port}")
    )


def test_the_default_port_may_be_left_out() -> None:
    assert parsed("https://a.example") == parsed("https://a.example:443") != parsed("https://a.example:80")
    assert parsed("http://a.example") == parsed("http://a.example:80")


# -- in a request --------------------------------------------------------------------------------


def scope(*headers: tuple[bytes, bytes], scheme: str = "ws") -> dict[str, object]:
    return {"type": "websocket", "scheme": scheme, "headers": [(b"host", b"app.example.com"), *headers]}


def test_a_request_without_an_origin_may_connect() -> None:
    assert OWN.allow_scope(scope())


def test_a_request_is_judged_by_its_headers_and_scheme() -> None:
    page = (b"origin", b"http://app.example.com")

    assert OWN.allow_scope(scope(page))
    assert not OWN.allow_scope(scope(page, scheme="wss"))
    assert not OWN.allow_scope(scope((b"origin", b"http://evil.example")))


@pytest.mark.parametrize(
    "headers",
    [
        ((b"origin", b"https://app.example.com"), (b"origin", b"https://evil.example")),
        ((b"origin", b"https://app.example.com"), (b"host", b"evil.example")),
        ((b"origin", b""),),
        ((b"origin", b"\xff\xfe"),),
    ],
)
def test_doubled_or_garbled_headers_may_not(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert not OWN.allow_scope(scope(*headers))
