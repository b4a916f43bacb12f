"""``ack``: messages and positions that a client acknowledges, and what it is told (RT-4, RT-5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead_gateway.access.minting import Wish, mint
from tests.gateway.running import Gateway, new_session, new_user
from tests.support.replica import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = {"type": "hello"}


def on_device(user: str, device_id: str) -> str:
    return mint(SECRET, Wish(user, device_id=device_id))


async def test_the_manager_is_told_who_acknowledged(gateway: Gateway) -> None:
    user = new_user()
    phone = await gateway.connect(bearer=on_device(user, "phone"))
    sending = asyncio.create_task(gateway.manager.send_to_user(user, HELLO, requires_ack=True))
    message = await phone.hear("hello")

    answers = [await phone.ask("ack", message_ids=[message["id"], "never"]) for _ in range(2)]
    sent = await sending

    assert message["requires_ack"] is True
    assert [answer["acknowledged"] for answer in answers] == [
        {message["id"]: "delivered", "never": "unknown"},
        {message["id"]: "duplicate", "never": "unknown"},
    ]
    assert "cursor" not in answers[0]
    assert (sent.status, sent.acknowledged_by) == ("delivered", (user, "phone", phone.id))
    facts = {"message_id": message["id"], "channel": f"user:{user}", "user_id": user, "device_id": "phone"}
    assert len(gateway.told("message_acknowledged", **facts, connection_id=phone.id)) == 1


async def test_what_was_said_in_a_session_is_acknowledged_there(gateway: Gateway) -> None:
    session = new_session()
    member = await gateway.connect()
    await member.ask("join_session", session_id=session)
    sending = asyncio.create_task(gateway.manager.send_to_session(session, HELLO, requires_ack=True))
    message = await member.hear("hello")

    elsewhere = await member.ask("ack", message_ids=[message["id"]])
    there = await member.ask("ack", message_ids=[message["id"]], channel=f"session:{session}")

    assert elsewhere["acknowledged"] == {message["id"]: "unknown"}
    assert there["acknowledged"] == {message["id"]: "delivered"}
    assert (await sending).status == "delivered"


async def test_an_acknowledgement_that_comes_too_late_is_told_so(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    sent = await gateway.manager.send_to_user(user, HELLO, requires_ack=True, ack_timeout=0.1)

    answer = await client.ask("ack", message_ids=[sent.id])

    assert (sent.status, answer["acknowledged"]) == ("expired", {sent.id: "expired"})
    assert not gateway.told("message_acknowledged", message_id=sent.id)


@pytest.mark.parametrize("channel", ["user:somebody-else", "session:not-joined", "topic:not-heard"])
async def test_only_what_is_heard_can_be_acknowledged(gateway: Gateway, channel: str) -> None:
    client = await gateway.connect()

    for fields in ({"message_ids": ["m-1"]}, {"offset": 1}):
        assert (await client.ask("ack", channel=channel, **fields))["code"] == "forbidden"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "message_ids"),
        ({"channel": "user:42"}, "message_ids"),
        ({"offset": 3}, "offset"),
        ({"offset": 3, "message_ids": ["m-1"]}, "channel"),
        ({"message_ids": []}, "message_ids"),
        ({"message_ids": ["m"] * 101}, "message_ids"),
        ({"message_ids": ["m" * 129]}, "message_ids"),
        ({"message_ids": "m-1"}, "message_ids"),
        ({"channel": "user:42", "offset": -1}, "offset"),
        ({"channel": "user:42", "offset": 2**53}, "offset"),
        ({"channel": "user:42", "offset": 1, "epoch": "a b"}, "epoch"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Gateway, fields: dict[str, Any], named: str) -> None:
    client = await gateway.connect()

    error = await client.ask("ack", **fields)

    assert (error["code"], named in error["message"]) == ("invalid_message", True)


# -- cursors ------------------------------------------------------------------------------------------


async def test_a_device_moves_its_cursor(gateway: Gateway) -> None:
    user = new_user()
    phone = await gateway.connect(bearer=on_device(user, "phone"))
    sent = await gateway.manager.send_to_user(user, HELLO)
    own = f"user:{user}"

    forward = await phone.ask("ack", channel=own, offset=sent.offset, message_id=sent.id)
    back = await phone.ask("ack", channel=own, offset=0, epoch=sent.epoch)

    cursor = {"channel": own, "offset": sent.offset, "epoch": sent.epoch}
    assert forward["cursor"] == back["cursor"] == cursor
    assert forward["acknowledged"] == {}
    held = await gateway.manager._parts.replica.cursors.read(user, "phone")
    assert held == (sent.offset, sent.epoch, sent.id)


async def test_who_has_all_up_to_an_offset_has_acknowledged_what_is_awaited_there(gateway: Gateway) -> None:
    user = new_user()
    nameless = await gateway.connect(user)
    sendings = [asyncio.create_task(gateway.manager.send_to_user(user, HELLO, requires_ack=True)) for _ in range(3)]
    offsets = {message["offset"]: message["id"] for message in [await nameless.hear("hello") for _ in range(3)]}

    first = await nameless.ask("ack", channel=f"user:{user}", offset=2)
    second = await nameless.ask("ack", channel=f"user:{user}", offset=3)

    assert first == first | {"acknowledged": {offsets[1]: "delivered", offsets[2]: "delivered"}, "cursor": None}
    assert second["acknowledged"] == {offsets[3]: "delivered"}
    assert {(await sending).status for sending in sendings} == {"delivered"}


async def test_both_forms_go_together(gateway: Gateway) -> None:
    user = new_user()
    phone = await gateway.connect(bearer=on_device(user, "phone"))
    sending = asyncio.create_task(gateway.manager.send_to_user(user, HELLO, requires_ack=True))
    message = await phone.hear("hello")

    answer = await phone.ask("ack", message_ids=[message["id"]], channel=message["channel"], offset=message["offset"])

    assert (answer["acknowledged"][message["id"]], answer["cursor"]["offset"]) == ("delivered", message["offset"])
    assert (await sending).status == "delivered"


async def test_only_a_known_device_has_a_cursor_and_only_in_its_users_channel(gateway: Gateway) -> None:
    user = new_user()
    nameless = await gateway.connect(user)
    phone = await gateway.connect(bearer=on_device(user, "phone"))
    await gateway.manager.send_to_user(user, HELLO)

    assert (await nameless.ask("ack", channel=f"user:{user}", offset=1))["cursor"] is None
    assert (await phone.ask("ack", channel="broadcast", offset=1))["cursor"] is None


@pytest.mark.parametrize(
    ("claim", "field", "device"), [("", "tablet", "tablet"), ("phone", "tablet", "phone"), ("phone", None, "phone")]
)
async def test_a_device_may_name_itself_when_its_token_does_not(
    gateway: Gateway, claim: str, field: str | None, device: str
) -> None:
    user = new_user()
    client = await gateway.open()
    await client.say("connect", token=on_device(user, claim), device_id=field)
    await client.hear("connection_established")
    sent = await gateway.manager.send_to_user(user, HELLO)

    await client.ask("refresh", token=token(user))
    await client.ask("ack", channel=f"user:{user}", offset=sent.offset)

    cursors = gateway.manager._parts.replica.cursors
    assert await cursors.read(user, device) == (sent.offset, sent.epoch, sent.id)
