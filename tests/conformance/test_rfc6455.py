"""Every rule of RFC 6455 that a server can keep or break, over TCP against the echo server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fairlead_gateway.wire.limits import WireLimits
from tests.conformance.client import ACCEPT, HANDSHAKE, RawClient, dialled, masked, request, text, upgraded
from tests.conformance.echo import LIMITS, app
from tests.conformance.server import Served, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIN_TEXT, FIN_BINARY, FIN_CONTINUATION, FIN_CLOSE, FIN_PING, FIN_PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8A
TEXT, BINARY, CONTINUATION = 0x01, 0x02, 0x00


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def echo() -> AsyncIterator[Served]:
    async with serving(app, LIMITS) as served:
        yield served


async def status_of(echo: Served, head: bytes) -> int:
    """What a server that must not upgrade answers."""
    async with dialled(echo.port) as client:
        await client.send(head)
        answer = await client.head()
        return int(answer.split(b" ", 2)[1])


async def fails_with(client: RawClient, code: int) -> None:
    """The next frame closes with *code*, and the server then ends the connection by itself."""
    assert (await client.frame()).closing[0] == code
    assert await client.rest() == b""


async def echoes(client: RawClient, first: int, payload: bytes) -> None:
    """The next frame is this message."""
    assert await client.frame() == (first, payload)


# -- 4: the opening handshake ----------------------------------------------------------------------


async def test_4_2_2_the_accept_key_proves_that_the_key_was_read(echo: Served) -> None:
    async with dialled(echo.port) as client:
        await client.send(request())

        head = await client.head()

    lines = head.lower().split(b"\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"upgrade: websocket" in lines
    assert b"connection: upgrade" in lines
    assert b"sec-websocket-accept: " + ACCEPT in head.split(b"\r\n")


async def test_4_2_1_a_request_that_comes_in_pieces_is_one_request(echo: Served) -> None:
    async with dialled(echo.port) as client:
        head = request()
        await client.trickle(head, range(7, len(head), 13))

        assert (await client.head()).startswith(b"HTTP/1.1 101 ")


async def test_4_1_tokens_are_compared_without_case_and_found_in_lists(echo: Served) -> None:
    headers = {**HANDSHAKE, "Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"}
    async with dialled(echo.port) as client:
        await client.send(request(headers=headers))

        assert (await client.head()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Sec-WebSocket-Version": "12"}, 426),
        ({"Sec-WebSocket-Version": "13, 8"}, 426),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, 400),
        ({"Sec-WebSocket-Protocol": "a,,b"}, 400),
        ({"Sec-WebSocket-Protocol": "a b"}, 400),
        ({"Content-Length": "3"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
    ],
)
async def test_4_2_1_a_malformed_upgrade_gets_an_http_error(echo: Served, changed: dict[str, str], status: int) -> None:
    assert await status_of(echo, request(headers={**HANDSHAKE, **changed})) == status


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Key", "Host"])
async def test_4_2_1_a_required_header_that_is_missing_is_a_bad_request(echo: Served, missing: str) -> None:
    headers = {name: value for name, value in HANDSHAKE.items() if name != missing}

    assert await status_of(echo, request(headers=headers)) == 400


async def test_4_2_1_a_missing_version_is_told_which_one_is_spoken(echo: Served) -> None:
    headers = {name: value for name, value in HANDSHAKE.items() if name != "Sec-WebSocket-Version"}
    async with dialled(echo.port) as client:
        await client.send(request(headers=headers))

        head = (await client.head()).lower()

    assert head.startswith(b"http/1.1 426 ")
    assert b"\r\nsec-websocket-version: 13\r\n" in head


async def test_4_1_only_get_may_upgrade(echo: Served) -> None:
    assert await status_of(echo, request(method="PUT")) == 405


async def test_4_1_two_keys_are_a_bad_request(echo: Served) -> None:
    doubled = request().replace(b"Host:", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nHost:")

    assert await status_of(echo, doubled) == 400


async def test_4_2_2_a_subprotocol_is_not_answered_unless_it_was_chosen(echo: Served) -> None:
    async with dialled(echo.port) as client:
        await client.send(request(headers={**HANDSHAKE, "Sec-WebSocket-Protocol": "chat, superchat"}))

        assert b"sec-websocket-protocol" not in (await client.head()).lower()


async def test_frames_that_follow_the_request_in_the_same_segment_are_not_lost(echo: Served) -> None:
    async with dialled(echo.port) as client:
        await client.send(request() + text("early") + text("birds"))

        await client.head()
        await echoes(client, FIN_TEXT, b"early")
        await echoes(client, FIN_TEXT, b"birds")


# -- 5.2: the base framing -------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 300_000])
@pytest.mark.parametrize("first", [FIN_TEXT, FIN_BINARY])
async def test_5_2_every_form_of_length_is_read_and_written(echo: Served, first: int, length: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(first, b"*" * length))

        await echoes(client, first, b"*" * length)


@pytest.mark.parametrize("bits", [0x40, 0x20, 0x10, 0x70])
@pytest.mark.parametrize("first", [FIN_TEXT, FIN_PING, FIN_CLOSE])
async def test_5_2_reserved_bits_that_were_not_agreed_on_are_an_error(echo: Served, first: int, bits: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(first | bits))

        await fails_with(client, 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
async def test_5_2_reserved_opcodes_are_an_error(echo: Served, opcode: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(0x80 | opcode))

        await fails_with(client, 1002)


@pytest.mark.parametrize(
    "frame",
    [b"\x81\xfe\x00\x05abcdHELLO", b"\x81\xff" + bytes(7) + b"\x05abcdHELLO", b"\x82\xff\x80" + bytes(7) + b"abcd"],
)
async def test_5_2_a_length_that_is_not_minimal_or_negative_is_an_error(echo: Served, frame: bytes) -> None:
    async with upgraded(echo.port) as client:
        await client.send(frame)

        await fails_with(client, 1002)


async def test_5_1_an_unmasked_frame_is_an_error(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(b"\x81\x05hello")

        await fails_with(client, 1002)


async def test_5_3_every_mask_is_undone_even_none(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x00\x80\x7f"):
            await client.send(masked(FIN_BINARY, bytes(range(256)), mask))

            await echoes(client, FIN_BINARY, bytes(range(256)))


async def test_a_frame_may_come_in_as_many_pieces_as_it_has_bytes(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        frame = masked(FIN_TEXT, b"x" * 130)
        await client.trickle(frame, range(1, len(frame)))

        await echoes(client, FIN_TEXT, b"x" * 130)


async def test_many_frames_may_come_in_one_piece(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(*(text(str(number)) for number in range(50)))

        for number in range(50):
            await echoes(client, FIN_TEXT, str(number).encode())


# -- 5.4: fragmentation ----------------------------------------------------------------------------


async def test_5_4_fragments_become_one_message(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(TEXT, b"one "), masked(CONTINUATION), masked(FIN_CONTINUATION, b"message"))

        await echoes(client, FIN_TEXT, b"one message")


async def test_5_4_control_frames_may_stand_between_fragments(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(BINARY, b"a"), masked(FIN_PING, b"now"), masked(FIN_CONTINUATION, b"b"))

        await echoes(client, FIN_PONG, b"now")
        await echoes(client, FIN_BINARY, b"ab")


async def test_5_4_a_character_may_be_split_between_fragments(echo: Served) -> None:
    fragments = (masked(TEXT, b"\xe2\x82"), masked(FIN_PING), masked(FIN_CONTINUATION, b"\xac"))
    async with upgraded(echo.port) as client:
        await client.send(*fragments)

        await echoes(client, FIN_PONG, b"")
        await echoes(client, FIN_TEXT, "€".encode())


async def test_5_4_a_continuation_of_nothing_is_an_error(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_CONTINUATION, b"?"))

        await fails_with(client, 1002)


@pytest.mark.parametrize("first", [FIN_TEXT, FIN_BINARY, TEXT, BINARY])
async def test_5_4_a_message_inside_another_is_an_error(echo: Served, first: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(TEXT, b"not done"), masked(first, b"another"))

        await fails_with(client, 1002)


async def test_a_message_of_endless_empty_fragments_is_ended() -> None:
    async with serving(app, WireLimits(max_message_bytes=1024)) as small, upgraded(small.port) as client:
        await client.send(masked(TEXT), *[masked(CONTINUATION)] * 1100)

        await fails_with(client, 1008)


# -- 5.5: control frames ---------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(125))])
async def test_5_5_2_a_ping_is_answered_with_what_it_carried(echo: Served, payload: bytes) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_PING, payload))

        await echoes(client, FIN_PONG, payload)


async def test_5_5_3_a_pong_that_nobody_asked_for_is_not_answered(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_PONG, b"heartbeat"), text("still here"))

        await echoes(client, FIN_TEXT, b"still here")


@pytest.mark.parametrize("first", [FIN_PING, FIN_PONG, FIN_CLOSE])
async def test_5_5_a_control_frame_of_more_than_125_bytes_is_an_error(echo: Served, first: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(first, b"\x03\xe8" + b"x" * 124))

        await fails_with(client, 1002)


@pytest.mark.parametrize("opcode", [8, 9, 10])
async def test_5_5_a_fragmented_control_frame_is_an_error(echo: Served, opcode: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(opcode, b""))

        await fails_with(client, 1002)


# -- 5.5.1 and 7: closing --------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
async def test_7_4_a_valid_close_code_comes_back_and_the_server_ends_the_connection(echo: Served, code: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_CLOSE, code.to_bytes(2, "big") + b"because"))

        await fails_with(client, code)


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
async def test_7_4_a_code_that_must_not_be_sent_is_an_error(echo: Served, code: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_CLOSE, code.to_bytes(2, "big")))

        await fails_with(client, 1002)


async def test_7_1_5_a_close_frame_without_a_code_is_answered_without_one(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_CLOSE))

        await fails_with(client, 1005)


async def test_5_5_1_half_a_close_code_is_an_error(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_CLOSE, b"\x03"))

        await fails_with(client, 1002)


async def test_5_5_1_a_reason_that_is_not_utf8_is_an_error(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_CLOSE, b"\x03\xe8\xff"))

        await fails_with(client, 1007)


async def test_5_5_1_whatever_follows_a_close_frame_is_ignored(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(
            masked(FIN_CLOSE, b"\x03\xe8"), text("too late"), masked(FIN_PING), masked(FIN_CLOSE), b"\xff\xff"
        )

        await fails_with(client, 1000)


async def test_7_2_1_a_client_that_vanishes_leaves_nothing_behind(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await until(lambda: len(echo.state.connections) == 1)
        client.leave()

        await until(lambda: not echo.state.connections and not echo.state.tasks)


# -- 8.1: UTF-8 ------------------------------------------------------------------------------------

NOT_UTF8 = [
    b"\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"ok\x80",
    b"\xce",
]


@pytest.mark.parametrize("payload", NOT_UTF8)
async def test_8_1_text_that_is_not_utf8_is_an_error(echo: Served, payload: bytes) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_TEXT, payload))

        await fails_with(client, 1007)


@pytest.mark.parametrize("payload", NOT_UTF8)
async def test_8_1_binary_may_hold_anything(echo: Served, payload: bytes) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(FIN_BINARY, payload))

        await echoes(client, FIN_BINARY, payload)


@pytest.mark.parametrize("point", [0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF])
async def test_8_1_the_borders_of_utf8_are_valid(echo: Served, point: int) -> None:
    async with upgraded(echo.port) as client:
        await client.send(text(chr(point)))

        await echoes(client, FIN_TEXT, chr(point).encode())


async def test_8_1_a_bad_fragment_is_refused_before_the_message_ends(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(masked(TEXT, b"fine so far"), masked(CONTINUATION, b"\xed\xa0\x80"))

        await fails_with(client, 1007)


# -- 10.4: limits ----------------------------------------------------------------------------------


async def test_10_4_a_frame_is_refused_for_the_length_it_announces(echo: Served) -> None:
    async with upgraded(echo.port) as client:
        await client.send(b"\x82\xff" + (LIMITS.max_message_bytes + 1).to_bytes(8, "big") + b"mask")

        await fails_with(client, 1009)


async def test_10_4_fragments_are_refused_for_what_they_add_up_to(echo: Served) -> None:
    half = LIMITS.max_message_bytes // 2
    async with upgraded(echo.port) as client:
        await client.send(masked(BINARY, bytes(half)), b"\x80\xff" + (half + 1).to_bytes(8, "big") + b"mask")

        await fails_with(client, 1009)
