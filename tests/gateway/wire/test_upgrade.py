from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.utils import accept_key as their_accept_key

from fairlead_gateway.wire.upgrade import (
    Head,
    Headers,
    Refusal,
    accept_key,
    accept_response,
    read_upgrade,
    response,
    split_head,
)
from tests.conformance.client import ACCEPT, HANDSHAKE, KEY, request

HEADERS: Headers = [(name.lower().encode(), value.encode()) for name, value in HANDSHAKE.items()]


def head(target: bytes = b"/", *more: tuple[bytes, bytes], method: bytes = b"GET", version: str = "1.1") -> Head:
    return Head(method, target, version, [*HEADERS, *more])


def test_the_accept_key_is_that_of_the_rfc() -> None:
    assert accept_key(KEY) == ACCEPT


@given(st.binary(min_size=16, max_size=16).map(bytes.hex))
def test_the_accept_key_is_that_of_websockets(key: str) -> None:
    assert accept_key(key.encode()).decode() == their_accept_key(key)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/ws/chat?ticket=1?2", b"/ws/chat", b"ticket=1?2"),
        (b"http://host:8000/ws?a=b", b"/ws", b"a=b"),
        (b"wss://host", b"/", b""),
        (b"ws://host?a", b"/", b"a"),
    ],
)
def test_a_target_has_a_path_and_a_query(target: bytes, path: bytes, query: bytes) -> None:
    upgrade = read_upgrade(head(target))

    assert (upgrade.path, upgrade.query) == (path, query)


@pytest.mark.parametrize("target", [b"", b"*", b"host:80", b"ws", b"/\xff", b"/a#b", b"ftp://host/"])
def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read_upgrade(head(target))

    assert refusal.value.status == 400


def test_subprotocols_of_several_headers_are_one_list() -> None:
    upgrade = read_upgrade(
        head(b"/", (b"sec-websocket-protocol", b"a,  b"), (b"sec-websocket-protocol", b"bearer.x-y_z"))
    )

    assert upgrade.subprotocols == ["a", "b", "bearer.x-y_z"]


def test_extensions_of_several_headers_are_one_list() -> None:
    upgrade = read_upgrade(head(b"/", (b"sec-websocket-extensions", b"x"), (b"sec-websocket-extensions", b"y; z")))

    assert upgrade.extensions == "x,y; z"


def test_http_1_0_cannot_be_upgraded() -> None:
    with pytest.raises(Refusal, match=r"HTTP/1\.1"):
        read_upgrade(head(version="1.0"))


@pytest.mark.parametrize("name", [b"host", b"sec-websocket-key", b"sec-websocket-version", b"upgrade", b"connection"])
def test_a_request_without_one_of_its_headers_is_refused(name: bytes) -> None:
    without = [(given_name, value) for given_name, value in HEADERS if given_name != name]

    with pytest.raises(Refusal):
        read_upgrade(Head(b"GET", b"/", "1.1", without))


@pytest.mark.parametrize("name", [b"host", b"sec-websocket-key", b"sec-websocket-version"])
def test_a_header_that_must_be_given_once_is_refused_twice(name: bytes) -> None:
    with pytest.raises(Refusal):
        read_upgrade(head(b"/", (name, dict(HEADERS)[name])))


@given(
    st.lists(st.tuples(st.sampled_from([name for name, _ in HEADERS]), st.binary(max_size=30))), st.binary(max_size=20)
)
def test_a_head_is_an_upgrade_or_a_refusal_and_nothing_else(headers: Headers, target: bytes) -> None:
    try:
        read_upgrade(Head(b"GET", target, "1.1", headers))
    except Refusal as refusal:
        assert 400 <= refusal.status < 500


def test_a_head_is_split_as_it_was_written() -> None:
    data = request("/ws?x=1") + b"early"

    split, rest = split_head(data)

    assert split == Head(b"GET", b"/ws?x=1", "1.1", HEADERS)
    assert rest == b"early"


def test_the_answer_says_what_was_agreed() -> None:
    answer = accept_response(KEY, "chat", "permessage-deflate", [(b"x-more", b"1")])

    lines = answer.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert lines[-2:] == [b"", b""]
    assert {
        b"sec-websocket-accept: " + ACCEPT,
        b"sec-websocket-protocol: chat",
        b"sec-websocket-extensions: permessage-deflate",
        b"x-more: 1",
    } <= set(lines)


@pytest.mark.parametrize("line", [(b"x", b"a\r\nset-cookie: b"), (b"x: y\r\nz", b"a"), (b"", b"a"), (b"x", b"\0")])
def test_a_header_cannot_break_out_of_its_line(line: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="break out"):
        accept_response(KEY, None, None, [line])
    with pytest.raises(ValueError, match="break out"):
        response(403, [line])


def test_a_subprotocol_cannot_break_out_of_its_line() -> None:
    with pytest.raises(ValueError, match="break out"):
        accept_response(KEY, "a\r\nb", None)


def test_a_refusal_is_a_whole_response_that_ends_the_connection() -> None:
    answer = response(404, [(b"Content-Length", b"99"), (b"x", b"y")], b"no")

    assert answer == b"HTTP/1.1 404 Not Found\r\nx: y\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
