"""One protocol in every format: JSON or msgpack, compressed or not, side by side in one channel."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from fairlead_gateway.pool.formats import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL
from tests.gateway.running import Client, Gateway, Message, new_session, new_user

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFLATE = ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
WAYS: dict[str, dict[str, Any]] = {
    "json": {"subprotocols": [JSON_SUBPROTOCOL]},
    "msgpack": {"subprotocols": [MSGPACK_SUBPROTOCOL]},
    "json deflated": {"extensions": [DEFLATE]},
    "msgpack deflated": {"subprotocols": [MSGPACK_SUBPROTOCOL], "extensions": [DEFLATE]},
}


async def speaking(gateway: Gateway, way: str, path: str = "/ws") -> Client:
    return await gateway.connect(new_user(), path, **WAYS[way])


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_offered_is_agreed_and_the_bearer_is_never_echoed(gateway: Gateway, way: str) -> None:
    client = await speaking(gateway, way)

    offered = WAYS[way].get("subprotocols")
    assert client.socket.subprotocol == (offered[0] if offered else None)
    assert bool(client.socket.protocol.extensions) is ("deflated" in way)


@pytest.mark.parametrize("way", WAYS)
async def test_actions_and_their_answers_are_the_same_in_every_format(gateway: Gateway, way: str) -> None:
    client, session = await speaking(gateway, way), new_session()

    joined = await client.ask("join_session", session_id=session)
    said = await client.ask("message", content={"Größe": [1, None, 2.5]})
    pong = await client.ask("ping", timestamp=2**63)
    error = await client.ask("no_such_action")
    await client.send(["no", "map"])
    invalid = await client.hear("error")

    assert client.greeting["type"] == "connection_established"
    assert joined["session_id"] == session
    assert said["offset"] == 1
    assert pong["timestamp"] == 2**63
    assert error["code"] == "unknown_action"
    assert invalid["code"] == "invalid_message"


async def test_a_message_is_the_same_for_everybody_in_a_mixed_session(gateway: Gateway) -> None:
    session = new_session()
    members = [await speaking(gateway, way, f"/ws/chat/session/{session}") for way in WAYS]

    for speaker in members:
        await speaker.ask("message", content={"by": members.index(speaker), "text": "ä" * 300})
    await gateway.manager.send_to_session(session, {"type": "last", "content": [1.5, None, "x"]})

    heard = [await up_to_the_last(member) for member in members]
    for number, messages in enumerate(heard):
        assert [m["content"]["by"] for m in messages[:-1]] == [n for n in range(len(WAYS)) if n != number]
    by_id = {message["id"]: message for messages in heard for message in messages}
    assert all(message == by_id[message["id"]] for messages in heard for message in messages)


async def up_to_the_last(member: Client) -> list[Message]:
    """What was said in the session, up to the message that the backend sent."""
    said = []
    while (message := await member.next())["type"] != "last":
        if message["type"] == "new_message":
            said.append(message)
    return [*said, message]


async def test_text_on_a_msgpack_connection_is_an_error_in_msgpack(gateway: Gateway) -> None:
    client = await speaking(gateway, "msgpack")

    await client.socket.send('{"action":"ping"}')

    assert (await client.hear("error"))["code"] == "invalid_message"


async def test_msgpack_that_is_none_is_an_error_and_the_connection_lives(gateway: Gateway) -> None:
    client = await speaking(gateway, "msgpack")

    await client.socket.send(b"\xc1\xff\x00")

    assert (await client.hear("error"))["code"] == "invalid_json"
    assert (await client.ask("ping"))["type"] == "pong"
