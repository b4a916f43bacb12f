"""Whatever a client sends that is wrong: the stated error or close code, and nobody else notices (CON-9, §2.4)."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import quote

import msgpack
import pytest
from redis.asyncio import Redis

from tests.cluster.attacks.attacker import attacking
from tests.conformance.client import masked, text
from tests.support.client import client
from tests.support.replica import Replica

PING = '{"action":"ping","id":"p"}'

ERRORS: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "invalid_json"),
    "half a map": ('{"action":', "invalid_json"),
    "two maps": (PING + PING, "invalid_json"),
    "a request": ("GET / HTTP/1.1\r\n\r\n", "invalid_json"),
    "zeros": ("\0" * 100, "invalid_json"),
    "a byte order mark": ("\ufeff" + PING, "invalid_json"),
    "NaN": ('{"action":"ping","timestamp":NaN}', "invalid_json"),
    "infinity": ('{"action":"ping","timestamp":-Infinity}', "invalid_json"),
    "a number that overflows": ('{"action":"ping","timestamp":1e999}', "invalid_json"),
    "an integer beyond 64 bits": ('{"action":"ping","timestamp":18446744073709551616}', "invalid_json"),
    "an integer of 60,000 digits": ('{"action":"ping","timestamp":' + "9" * 60_000 + "}", "invalid_json"),
    "a lone high surrogate": ('{"action":"ping","timestamp":"\\ud800"}', "invalid_json"),
    "a lone low surrogate": ('{"action":"ping","timestamp":"\\udc00x"}', "invalid_json"),
    "a surrogate in a key": ('{"action":"ping","\\ud800":1}', "invalid_json"),
    "33 levels": ('{"action":"ping","timestamp":' + "[" * 32 + "]" * 32 + "}", "invalid_json"),
    "30,000 levels of lists": ("[" * 30_000 + "]" * 30_000, "invalid_json"),
    "10,000 levels of maps": ('{"a":' * 10_000 + "1" + "}" * 10_000, "invalid_json"),
    "brackets that never close": ("[" * 60_000, "invalid_json"),
    "a list": ("[]", "invalid_message"),
    "a number": ("7", "invalid_message"),
    "null": ("null", "invalid_message"),
    "a string": ('"ping"', "invalid_message"),
    "an empty map": ("{}", "invalid_message"),
    "an action that is a number": ('{"action":7}', "invalid_message"),
    "an action that is a map": ('{"action":{"action":"ping"}}', "invalid_message"),
    "an empty action": ('{"action":""}', "invalid_message"),
    "an action behind __proto__": ('{"__proto__":{"action":"ping"}}', "invalid_message"),
    "a binary frame": (PING.encode(), "invalid_message"),
    "an action of nobody": ('{"action":"nope"}', "unknown_action"),
    "a dunder": ('{"action":"__class__"}', "unknown_action"),
    "__proto__": ('{"action":"__proto__"}', "unknown_action"),
    "an action of 60,000 letters": (json.dumps({"action": "a" * 60_000}), "unknown_action"),
    "an action of terminal codes": (json.dumps({"action": "\x1b[2J\n\u202e"}), "unknown_action"),
    "no channels": ('{"action":"subscribe"}', "invalid_message"),
    "channels of the wrong kind": ('{"action":"subscribe","channels":"topic:a"}', "invalid_message"),
    "an empty list of channels": ('{"action":"subscribe","channels":[]}', "invalid_message"),
    "101 channels": (
        json.dumps({"action": "subscribe", "channels": [f"topic:{n}" for n in range(101)]}),
        "invalid_message",
    ),
    "an id of 129 letters": (
        json.dumps({"action": "presence", "channel": "broadcast", "id": "i" * 129}),
        "invalid_message",
    ),
    "an id that is a map": ('{"action":"subscribe","channels":["topic:a"],"id":{}}', "invalid_message"),
    "an offset below zero": (
        '{"action":"subscribe","channels":["topic:a"],"recover":{"topic:a":{"offset":-1,"epoch":""}}}',
        "invalid_message",
    ),
    "a message to nowhere": ('{"action":"message","content":1}', "invalid_message"),
    "a message to two places": ('{"action":"message","content":1,"to":"user:a","session_id":"a"}', "invalid_message"),
    "a message without content": ('{"action":"message","to":"user:a"}', "invalid_message"),
    "metadata that is a list": ('{"action":"message","to":"user:a","content":1,"metadata":[]}', "invalid_message"),
    "a message to a session not joined": ('{"action":"message","session_id":"a","content":1}', "forbidden"),
    "connect a second time": ('{"action":"connect"}', "invalid_message"),
    "a refreshment with rubbish": ('{"action":"refresh","token":"rubbish"}', "unauthorized"),
}

CLOSES: dict[str, tuple[bytes, int]] = {
    "a frame of 1 MB": (masked(0x81, b"x" * 1_000_000), 1009),
    "a frame said to be of 4 EB": (b"\x81\xff" + (2**62).to_bytes(8, "big") + b"\0" * 4, 1009),
    "a message of 1 MB in fragments": (masked(0x01, b"x" * 60_000) + masked(0x00, b"x" * 60_000), 1009),
    "a frame of 2^63 bytes": (b"\x81\xff" + (2**63).to_bytes(8, "big") + b"\0" * 4, 1002),
    "a length longer than it need be": (b"\x81\xfe\x00\x05\0\0\0\0hello", 1002),
    "invalid UTF-8": (masked(0x81, b"\xff\xfe"), 1007),
    "a surrogate in UTF-8": (masked(0x81, b'"\xed\xa0\x80"'), 1007),
    "half a character": (masked(0x81, "ü".encode()[:1]), 1007),
    "invalid UTF-8 in a fragment": (masked(0x01, b"\xc0\xaf"), 1007),
    "an unmasked frame": (b"\x81\x02{}", 1002),
    "reserved bit 1": (masked(0xC1, b"{}"), 1002),
    "reserved bit 2": (masked(0xA1, b"{}"), 1002),
    "reserved bit 3": (masked(0x91, b"{}"), 1002),
    "a reserved opcode": (masked(0x83, b"{}"), 1002),
    "a reserved control opcode": (masked(0x8B, b""), 1002),
    "a ping in fragments": (masked(0x09, b""), 1002),
    "a ping of 126 bytes": (masked(0x89, b"x" * 126), 1002),
    "a continuation of nothing": (masked(0x80, b"{}"), 1002),
    "a message inside a message": (masked(0x01, b"{") + masked(0x81, b"{}"), 1002),
    "a message of empty fragments for ever": (masked(0x01) + masked(0x00) * 6_000, 1008),
    "a close of one byte": (masked(0x88, b"\x03"), 1002),
    "a close with a code of nobody": (masked(0x88, (999).to_bytes(2, "big")), 1002),
    "a close with a code that is never sent": (masked(0x88, (1005).to_bytes(2, "big")), 1002),
    "a close with a reason that is not UTF-8": (masked(0x88, b"\x03\xe8\xff"), 1007),
}

MSGPACK_ERRORS: dict[str, tuple[bytes, str]] = {
    "a text frame": (text(PING), "invalid_message"),
    "JSON": (masked(0x82, PING.encode()), "invalid_json"),
    "nothing": (masked(0x82), "invalid_json"),
    "half a map": (masked(0x82, b"\x82\xa6action"), "invalid_json"),
    "a list of four billion": (masked(0x82, b"\xdd\xff\xff\xff\xff"), "invalid_json"),
    "a map of four billion": (masked(0x82, b"\xdf\xff\xff\xff\xff"), "invalid_json"),
    "60,000 levels": (masked(0x82, b"\x91" * 60_000 + b"\x90"), "invalid_json"),
    "NaN": (masked(0x82, msgpack.packb({"action": "ping", "timestamp": float("nan")})), "invalid_json"),
    "bytes": (masked(0x82, msgpack.packb({"action": "ping", "timestamp": b"\xff"})), "invalid_json"),
    "an extension": (masked(0x82, msgpack.packb({"action": msgpack.ExtType(5, b"x")})), "invalid_json"),
    "a key that is a number": (masked(0x82, msgpack.packb({1: "ping"})), "invalid_json"),
    "text that is not UTF-8": (masked(0x82, b"\x81\xa6action\xa1\xff"), "invalid_json"),
    "a list": (masked(0x82, msgpack.packb([])), "invalid_message"),
    "an action of nobody": (masked(0x82, msgpack.packb({"action": "nope"})), "unknown_action"),
}

NO_IDS = (
    *("*", "a*", "?", "[a-z]", "a\\*", "{a}", "a{1}:x", "}", "a\nb", "a\n", "\r\nDEL x\r\n", "a b", " ", "a\0b"),
    *("", "a" * 129, "é", "１", "a/b", "../a", "a%20b", "$", "#", "a;b", '"', "'", "<b>", "\u202e", "\U0001f600"),
)


@pytest.mark.parametrize("what", ERRORS)
async def test_what_is_wrong_with_a_frame_is_said_and_the_connection_lives(target: Replica, what: str) -> None:
    payload, code = ERRORS[what]
    async with attacking(target) as attacker:
        await attacker.send(masked(0x82, payload) if isinstance(payload, bytes) else text(payload))

        error = await attacker.message()

        assert (error["type"], error["code"]) == ("error", code), error
        assert error["ref"] is None and 0 < len(error["message"]) < 400
        assert await attacker.is_served()


@pytest.mark.parametrize("what", MSGPACK_ERRORS)
async def test_what_is_wrong_with_a_msgpack_frame_is_said_in_msgpack(target: Replica, what: str) -> None:
    frame, code = MSGPACK_ERRORS[what]
    async with attacking(target, Sec_WebSocket_Protocol="fairlead.v1.msgpack") as attacker:
        await attacker.send(frame)
        await attacker.send(masked(0x82, msgpack.packb({"action": "ping", "id": "after"})))

        answers = {message["type"]: message for message in [await attacker.message() for _ in range(2)]}

        assert (answers["error"]["code"], answers["error"]["ref"]) == (code, None)
        assert answers["pong"]["ref"] == "after"


@pytest.mark.parametrize("what", CLOSES)
async def test_what_breaks_the_protocol_is_closed_with_the_code_that_says_why(target: Replica, what: str) -> None:
    frames, code = CLOSES[what]
    async with attacking(target) as attacker:
        await attacker.send(frames, text(PING))

        assert await attacker.end() == code
        assert await attacker.rest() == b""


@pytest.mark.parametrize("bad", NO_IDS, ids=ascii)
async def test_what_is_no_id_enters_by_no_frame(target: Replica, bad: str) -> None:
    frames: list[dict[str, Any]] = [
        {"action": "join_session", "session_id": bad},
        {"action": "leave_session", "session_id": bad},
        {"action": "typing", "session_id": bad},
        {"action": "message", "session_id": bad, "content": 1},
        {"action": "message", "to": f"user:{bad}", "content": 1},
        {"action": "message", "to": f"session:{bad}", "content": 1},
        {"action": "message", "to": bad, "content": 1},
        {"action": "message", "to": "user:a", "message_type": bad, "content": 1},
        {"action": "subscribe", "channels": [f"topic:{bad}"]},
        {"action": "subscribe", "channels": ["topic:good", f"instance:{bad}"]},
        {"action": "subscribe", "channels": [bad]},
        {"action": "unsubscribe", "channels": [f"topic:{bad}"]},
        {"action": "presence", "channel": f"session:{bad}"},
        {"action": "presence", "channel": bad},
    ]
    async with attacking(target) as attacker:
        for number, frame in enumerate(frames):
            await attacker.say(id=f"f{number}", **frame)
            answer = await attacker.answer(f"f{number}")
            assert (answer["type"], answer.get("code")) == ("error", "invalid_message"), (frame, answer)

        assert await attacker.is_served()


@pytest.mark.parametrize("bad", [bad for bad in NO_IDS if bad and "/" not in bad], ids=ascii)
async def test_what_is_no_id_enters_by_no_path(target: Replica, bad: str) -> None:
    for path in ("/ws/chat/session/", "/ws/instance/"):
        async with client(target.http.replace("http", "ws") + path + quote(bad, safe=""), "anna") as visitor:
            assert (await visitor.closed())[0] == 4000


@pytest.mark.parametrize("ref", ["*", "{x}", "a\nb", "__proto__", "\u202e", "ü" * 128, '"}'])
async def test_the_id_of_an_action_is_only_echoed(target: Replica, ref: str) -> None:
    async with attacking(target) as attacker:
        await attacker.say(action="subscribe", channels=["topic:echo"], id=ref)

        assert (await attacker.answer(ref))["ok"] is True


async def test_objects_full_of_magic_names_are_carried_as_they_are(target: Replica) -> None:
    content = {"__proto__": {"admin": True}, "constructor": {"prototype": 1}, "__class__": "x", "type": "kicked"}
    async with attacking(target, "magic") as sender, attacking(target, "magic") as reader:
        await sender.say(action="message", to="user:magic", content=content, id="m")

        pushed = await reader.message()

        assert (pushed["type"], pushed["content"], pushed["from"]) == ("new_message", content, "user:magic")


async def test_nobody_hears_more_than_a_hundred_channels(target: Replica) -> None:
    async with attacking(target) as attacker:
        await attacker.say(action="subscribe", channels=[f"topic:t{n}" for n in range(100)], id="all")
        first = await attacker.answer("all")
        await attacker.say(action="subscribe", channels=["topic:one-more"], id="more")
        more = await attacker.answer("more")
        await attacker.say(action="join_session", session_id="one-more", id="join")
        join = await attacker.answer("join")

    assert len(first["channels"]) == 100
    assert [(answer["type"], answer["code"]) for answer in (more, join)] == [("error", "rate_limited")] * 2


async def test_no_key_in_redis_has_a_name_that_a_client_made_up(
    target: Replica, attacked_fleet: list[Replica], redis: Redis
) -> None:
    keys = [key.decode() async for key in redis.scan_iter("attacked:*", count=1000)]
    channels = [os.fsdecode(name) for name in await redis.pubsub_channels("attacked:*")]

    name = re.compile(r"attacked:(?:\{(?:\d+|fleet)\}:)?[A-Za-z0-9_\-.:@]+")
    assert keys and channels
    assert [found for found in (*keys, *channels) if not name.fullmatch(found)] == []
