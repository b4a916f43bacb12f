"""Saying something: stored, numbered, brought to the others; typing: shown to the others and forgotten."""

from __future__ import annotations

import pytest

from tests.gateway.running import Client, Gateway, new_session, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def conversation(gateway: Gateway, count: int = 2) -> tuple[str, list[Client]]:
    """A session and that many members of it, who have heard all the news so far."""
    session = new_session()
    members = [await gateway.connect(path=f"/ws/chat/session/{session}") for _ in range(count)]
    for member in members:
        for later in range(count - members.index(member)):
            await member.hear("session_joined")
            if later:
                await member.hear("user_status_update")
    return session, members


async def test_the_others_hear_it_and_the_sender_is_told_where_it_stands(gateway: Gateway) -> None:
    session, (alice, bob) = await conversation(gateway)

    reply = await alice.ask("message", content={"text": "hello"}, metadata={"lang": "en"})
    heard = await bob.hear("new_message")

    assert reply["ok"] is True
    assert (reply["offset"], reply["channel"]) == (heard["offset"], f"session:{session}")
    assert (heard["id"], heard["content"]) == (reply["message_id"], {"text": "hello"})
    assert (heard["from"], heard["to"]) == (f"user:{alice.greeting['user_id']}", f"session:{session}")
    assert (heard["session_id"], heard["message_type"], heard["metadata"]) == (session, "text", {"lang": "en"})
    assert await alice.heard() == [{"type": "skipped", "channel": f"session:{session}", "offset": reply["offset"]}]


async def test_another_device_of_the_sender_hears_it(gateway: Gateway) -> None:
    session, (alice, _) = await conversation(gateway)
    phone = await gateway.connect(str(alice.greeting["user_id"]), f"/ws/chat/session/{session}")

    await alice.ask("message", content="from the laptop")

    assert (await phone.hear("new_message"))["content"] == "from the laptop"


async def test_offsets_grow_by_one_and_everybody_hears_the_same_order(gateway: Gateway) -> None:
    _, (alice, bob, carol) = await conversation(gateway, 3)

    for n in range(10):
        await alice.say("message", content=n)
        await bob.say("message", content=n)

    heard = [await carol.hear("new_message") for _ in range(20)]
    offsets = [message["offset"] for message in heard]
    assert offsets == list(range(offsets[0], offsets[0] + 20))
    by_alice = [m["content"] for m in heard if m["from"] == f"user:{alice.greeting['user_id']}"]
    assert by_alice == list(range(10))
    assert [m["id"] for m in heard if m["from"] == f"user:{alice.greeting['user_id']}"] == [
        (await bob.hear("new_message"))["id"] for _ in range(10)
    ]


async def test_a_direct_message_reaches_every_device_of_its_user(gateway: Gateway) -> None:
    sender, user = await gateway.connect(), new_user()
    devices = [await gateway.connect(user) for _ in range(2)]

    reply = await sender.ask("message", to=f"user:{user}", content="psst")

    for device in devices:
        message = await device.hear("new_message")
        assert (message["id"], message["content"], message["to"]) == (reply["message_id"], "psst", f"user:{user}")
    assert await sender.heard() == []


async def test_where_claims_allow_an_instance_is_written_to(gateway: Gateway) -> None:
    name = new_session()
    watcher = await gateway.connect(path=f"/ws/instance/{name}")
    writer = await gateway.connect(bearer=token(new_user(), instances=[name]))

    await writer.ask("message", to=f"instance:{name}", content=1)

    assert (await watcher.hear("new_message"))["channel"] == f"instance:{name}"


@pytest.mark.parametrize("to", ["broadcast", "topic:t", "connection:c1", "session:other", "instance:i", "task:t"])
async def test_nobody_writes_where_neither_claims_nor_membership_allow_it(gateway: Gateway, to: str) -> None:
    client = await gateway.connect(bearer=token(new_user(), topics=["t"]))

    assert (await client.ask("message", to=to, content="x"))["code"] == "forbidden"


@pytest.mark.parametrize("to", ["broadcast", "topic:t"])
async def test_topics_and_broadcasts_are_only_listened_to_whatever_is_claimed(gateway: Gateway, to: str) -> None:
    client = await gateway.connect()

    assert (await client.ask("message", to=to, content="x"))["code"] == "forbidden"


async def test_a_session_must_have_been_joined(gateway: Gateway) -> None:
    client = await gateway.connect()

    assert (await client.ask("message", session_id=new_session(), content="x"))["code"] == "forbidden"
    assert (await client.ask("typing", session_id=new_session()))["code"] == "forbidden"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "content"),
        ({"content": 1, "session_id": "a b"}, "session_id"),
        ({"content": 1, "session_id": "s", "to": "user:1"}, ""),
        ({"content": 1, "message_type": "two words"}, "message_type"),
        ({"content": 1, "metadata": "text"}, "metadata"),
        ({"content": 1, "to": 7}, "to"),
    ],
)
async def test_a_message_of_the_wrong_shape_is_told_which_field(
    gateway: Gateway, fields: dict[str, object], field: str
) -> None:
    client = await gateway.connect()

    error = await client.ask("message", **fields)

    assert (error["code"], error["detail"]["field"]) == ("invalid_message", field)


@pytest.mark.parametrize(
    "content", [None, 0, "", [], {}, "Größe 𝄞 \u0000 \u2028", 2**64 - 1, -(2**63), 1.5e300, {"a": [{}]}]
)
async def test_any_content_that_codecs_carry_arrives_as_it_was(gateway: Gateway, content: object) -> None:
    _, (alice, bob) = await conversation(gateway)

    await alice.ask("message", content=content)

    assert (await bob.hear("new_message"))["content"] == content


async def test_typing_is_shown_to_the_others_and_kept_nowhere(gateway: Gateway) -> None:
    session, (alice, bob) = await conversation(gateway)
    phone = await gateway.connect(str(alice.greeting["user_id"]), f"/ws/chat/session/{session}")

    reply = await alice.ask("typing", session_id=session, is_typing=True)
    shown = await bob.hear("typing")
    await alice.ask("typing", is_typing=False)
    stopped = await bob.hear("typing")

    assert reply["session_id"] == session
    assert (shown["user_id"], shown["is_typing"], shown["session_id"]) == (alice.greeting["user_id"], True, session)
    assert stopped["is_typing"] is False
    assert "offset" not in shown
    assert [m["type"] for m in await phone.heard()] == []
    assert [m["type"] for m in await alice.heard() if m["type"] == "typing"] == []


async def test_a_message_may_be_spelled_with_type(gateway: Gateway) -> None:
    _, (alice, bob) = await conversation(gateway)

    await alice.send({"type": "message", "id": "m1", "content": "older spelling"})

    assert (await alice.answer("m1"))["ok"] is True
    assert (await bob.hear("new_message"))["content"] == "older spelling"
