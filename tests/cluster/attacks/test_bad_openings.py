"""Who may not come in: the code that says why, and nothing is heard before it (CON-3, CON-5, §2.2, §2.7)."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import jwt
import pytest

from tests.cluster.attacks.attacker import Attacker, attacking, knocking, someone
from tests.conformance.client import HANDSHAKE, dialled, masked, request, text
from tests.support.replica import SECRET, Replica, token

OTHER_KEY = "0123456789abcdef0123456789abcdef"


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims, changed; None takes one away."""
    now = int(time.time())
    good = {"sub": "mallory", "iat": now, "exp": now + 600, "sessions": ["*"], "topics": ["*"]}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(key: str = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A JWT, however bad its claims are."""
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def handmade(header: object, payload: object, signature: bytes = b"") -> str:
    """A JWT that no library would make."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def cut(piece: int) -> str:
    """A good token without one of its three parts."""
    parts = signed().split(".")
    return ".".join(part for index, part in enumerate(parts) if index != piece)


def meddled() -> str:
    """A good token with the claims of another user."""
    header, _, signature = signed().split(".")
    return ".".join((header, handmade({}, claims(sub="admin", role="admin")).split(".")[1], signature))


TOKENS: dict[str, tuple[Callable[[], str], int]] = {
    "expired": (lambda: signed(iat=int(time.time()) - 700, exp=int(time.time()) - 60), 4401),
    "made with another key": (lambda: signed(OTHER_KEY), 4403),
    "of no algorithm": (lambda: handmade({"alg": "none", "typ": "JWT"}, claims()), 4403),
    "of no algorithm in other letters": (lambda: handmade({"alg": "NoNe"}, claims()), 4403),
    "of no algorithm with a good signature": (lambda: handmade({"alg": "none"}, claims(), b"x" * 32), 4403),
    "without a signature": (lambda: signed().rpartition(".")[0] + ".", 4403),
    "without its last character": (lambda: signed()[:-1], 4403),
    "cut in the middle": (lambda: signed()[:60], 4403),
    "without a header": (lambda: cut(0), 4403),
    "without a payload": (lambda: cut(1), 4403),
    "with the claims of another": (meddled, 4403),
    "of a public key algorithm": (lambda: handmade({"alg": "RS256"}, claims(), b"x" * 256), 4403),
    "with a key of its own": (lambda: signed(OTHER_KEY, headers={"jwk": {"kty": "oct", "k": "MDEy"}}), 4403),
    "with the address of its key": (lambda: signed(OTHER_KEY, headers={"jku": "http://127.0.0.1:1/keys"}), 4403),
    "with a path for a key": (lambda: signed(OTHER_KEY, headers={"kid": "../../../dev/null"}), 4403),
    "with an extension that is critical": (lambda: signed(headers={"crit": ["x"], "x": 1}), 4403),
    "whose algorithm is a map": (lambda: handmade({"alg": {}}, claims(), b"x" * 32), 4403),
    "whose header is a list": (lambda: handmade([], claims(), b"x" * 32), 4403),
    "whose header is deep": (lambda: handmade(b"[" * 3_000, claims(), b"x" * 32), 4403),
    "without an end": (lambda: signed(exp=None), 4403),
    "of nobody": (lambda: signed(sub=None), 4403),
    "of an empty user": (lambda: signed(sub=""), 4403),
    "of a user with a star": (lambda: signed(sub="*"), 4403),
    "of a user with braces": (lambda: signed(sub="{17}:user:anna"), 4403),
    "of a user with a new line": (lambda: signed(sub="anna\n"), 4403),
    "of a user with a command": (lambda: signed(sub="a\r\nFLUSHALL\r\n"), 4403),
    "of a user of 129 letters": (lambda: signed(sub="a" * 129), 4403),
    "not valid yet": (lambda: signed(nbf=int(time.time()) + 600), 4403),
    "of a device with a star": (lambda: signed(device_id="*"), 4403),
    "of sessions that are no list": (lambda: signed(sessions={"*": 1}), 4403),
    "rubbish": (lambda: "rubbish", 4403),
    "dots": (lambda: "..", 4403),
}


@pytest.mark.parametrize("what", TOKENS)
async def test_a_bad_token_opens_nothing_whichever_way_it_comes(target: Replica, what: str) -> None:
    make, code = TOKENS[what]
    bad = make()

    async with knocking(target, Authorization=f"Bearer {bad}") as in_a_header:
        assert await only_end(in_a_header) == code
    async with knocking(target, Sec_WebSocket_Protocol=f"fairlead.v1.json, bearer.{bad}") as in_a_subprotocol:
        assert await only_end(in_a_subprotocol) == code
    async with knocking(target) as in_a_frame:
        await in_a_frame.say(action="connect", token=bad)
        assert await only_end(in_a_frame) == code


FIRST_FRAMES = {
    "another action": text('{"action":"ping"}'),
    "no JSON": text("{"),
    "a list": text("[]"),
    "a token that is a number": text('{"action":"connect","token":7}'),
    "a token of 20,000 letters": text(json.dumps({"action": "connect", "token": "x" * 20_000})),
    "a device with a star": text('{"action":"connect","device_id":"*"}'),
    "a recovery of a list": text('{"action":"connect","recover":[]}'),
    "a recovery below zero": text('{"action":"connect","recover":{"user:a":{"offset":-1,"epoch":"x"}}}'),
    "a recovery of 101 channels": text(
        json.dumps({"action": "connect", "recover": {f"topic:{n}": {"offset": 1, "epoch": "x"} for n in range(101)}})
    ),
    "a deep nest": text('{"action":"connect","recover":' + "[" * 10_000 + "]" * 10_000 + "}"),
    "a binary frame": masked(0x82, b'{"action":"connect"}'),
}


@pytest.mark.parametrize("what", FIRST_FRAMES)
async def test_a_first_frame_that_is_no_good_connect_is_closed_with_4000(target: Replica, what: str) -> None:
    async with knocking(target) as attacker:
        await attacker.send(FIRST_FRAMES[what])

        assert await only_end(attacker) == 4000


@pytest.mark.parametrize("first", ['{"action":"connect"}', '{"action":"connect","token":null}', '{"type":"connect"}'])
async def test_a_connect_without_a_token_is_closed_with_4401(target: Replica, first: str) -> None:
    async with knocking(target) as attacker:
        await attacker.send(text(first))

        assert await only_end(attacker) == 4401


@pytest.mark.parametrize("path", ["/ws", "/ws?wait=connect", "/ws/chat/session/s1"])
async def test_who_never_says_connect_is_closed_with_4408(target: Replica, path: str) -> None:
    async with knocking(target, path) as attacker:
        assert await only_end(attacker) == 4408


async def test_a_good_token_does_not_say_connect_for_a_client_that_wants_to_wait(target: Replica) -> None:
    async with knocking(target, "/ws?wait=connect", Authorization=f"Bearer {token(someone())}") as attacker:
        assert await only_end(attacker) == 4408


async def test_connect_for_somebody_else_is_closed_with_4403(target: Replica) -> None:
    async with knocking(target, "/ws?wait=connect", Authorization=f"Bearer {token(someone())}") as attacker:
        await attacker.say(action="connect", token=token("admin"))

        assert await only_end(attacker) == 4403


async def test_a_refreshment_as_somebody_else_is_closed_with_4403(target: Replica) -> None:
    async with attacking(target) as attacker:
        await attacker.say(action="refresh", token=token("admin"))

        assert await attacker.end() == 4403


@pytest.mark.parametrize("path", ["/ws/chat/session/secret", "/ws/instance/secret"])
async def test_a_place_that_is_not_granted_is_closed_with_4403(target: Replica, path: str) -> None:
    async with knocking(target, path, Authorization=f"Bearer {token('eve', topics=['own'])}") as attacker:
        assert await only_end(attacker) == 4403


async def test_what_is_not_granted_is_forbidden_by_every_action(target: Replica) -> None:
    frames: list[dict[str, Any]] = [
        {"action": "join_session", "session_id": "secret"},
        {"action": "subscribe", "channels": ["session:secret"]},
        {"action": "subscribe", "channels": ["topic:own", "instance:secret"]},
        {"action": "subscribe", "channels": ["user:admin"]},
        {"action": "subscribe", "channels": ["connection:of-another"]},
        {"action": "message", "to": "instance:secret", "content": 1},
        {"action": "message", "to": "topic:own", "content": 1},
        {"action": "message", "to": "broadcast", "content": 1},
        {"action": "message", "to": "session:secret", "content": 1},
        {"action": "typing", "session_id": "secret"},
        {"action": "presence", "channel": "session:secret"},
        {"action": "presence", "channel": "user:admin"},
    ]
    async with knocking(target, Authorization=f"Bearer {token('eve', topics=['own'])}") as attacker:
        await attacker.message()
        for number, frame in enumerate(frames):
            await attacker.say(id=f"f{number}", **frame)
            answer = await attacker.answer(f"f{number}")
            assert answer.get("code") == "forbidden", (frame, answer)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://", "*"])
async def test_a_page_of_another_origin_is_closed_with_4403(target: Replica, origin: str) -> None:
    async with knocking(target, Origin=origin, Authorization=f"Bearer {token(someone())}") as attacker:
        assert await only_end(attacker) == 4403


async def test_a_second_origin_does_not_help_the_first(target: Replica) -> None:
    head = request("/ws", {**HANDSHAKE, "Authorization": f"Bearer {token(someone())}"})
    own, foreign = "Origin: http://localhost\r\n", "Origin: https://evil.example\r\n"
    async with dialled(target.port) as raw:
        await raw.send(head[:-2] + (own + foreign).encode() + b"\r\n")
        await raw.head()

        assert await only_end(Attacker(raw)) == 4403


async def test_the_sixth_connection_of_a_user_is_closed_with_4429_on_any_replica(
    target: Replica, attacked_fleet: list[Replica]
) -> None:
    user = someone()
    async with AsyncExitStack() as stack:
        five = [await stack.enter_async_context(attacking(attacked_fleet[n % 2], user)) for n in range(5)]
        for replica in attacked_fleet * 3:
            async with knocking(replica, Authorization=f"Bearer {token(user)}") as sixth:
                assert await only_end(sixth) == 4429

        assert all([await one.is_served() for one in five])


async def test_fifty_at_once_get_no_more_than_five_seats(target: Replica, attacked_fleet: list[Replica]) -> None:
    bearer = {"Authorization": f"Bearer {token(someone())}"}
    async with AsyncExitStack() as stack:
        crowd = [stack.enter_async_context(knocking(attacked_fleet[n % 2], **bearer)) for n in range(50)]
        frames = await asyncio.gather(*[one.frame() for one in await asyncio.gather(*crowd)])

    assert sum(frame.opcode == 1 for frame in frames) == 5
    assert {frame.closing[0] for frame in frames if frame.opcode == 8} == {4429}


async def test_a_token_in_the_query_opens_nothing_and_is_in_no_log(target: Replica) -> None:
    async with knocking(target, f"/ws?token={token(someone())}") as attacker:
        assert await only_end(attacker) == 4401


async def test_a_ticket_opens_one_connection_and_is_in_no_log(target: Replica, attacked_fleet: list[Replica]) -> None:
    ticket = await asyncio.to_thread(issue_ticket, target)
    targets = [attacked_fleet[n % 2] for n in range(10)]
    async with AsyncExitStack() as stack:
        opening = [stack.enter_async_context(knocking(replica, f"/ws?ticket={ticket}")) for replica in targets]
        frames = await asyncio.gather(*[one.frame() for one in await asyncio.gather(*opening)])

    assert sum(frame.opcode == 1 for frame in frames) == 1
    assert {frame.closing[0] for frame in frames if frame.opcode == 8} == {4401}
    assert all(ticket not in replica.log for replica in attacked_fleet)


@pytest.mark.parametrize("ticket", ["x", "*", "%0d%0aFLUSHALL", "..%2f", "x" * 22 + "%00", "x" * 5000])
async def test_what_is_no_ticket_is_closed_with_4403(target: Replica, ticket: str) -> None:
    async with knocking(target, f"/ws?ticket={ticket}") as attacker:
        assert await only_end(attacker) == 4403


async def only_end(attacker: Attacker) -> int:
    """The code of the close frame that is all the attacker gets."""
    frame = await attacker.frame()
    assert frame.opcode == 8, frame
    return frame.closing[0]


def issue_ticket(replica: Replica) -> str:
    headers = {"Authorization": f"Bearer {token(someone())}"}
    asked = urllib.request.Request(f"{replica.http}/api/v1/websocket/tickets", method="POST", headers=headers)
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return str(json.load(answer)["ticket"])
