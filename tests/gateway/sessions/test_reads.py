"""Receipts: sent, delivered, read; and messages that a client may send again (ST-5, RT-6)."""

from __future__ import annotations

import pytest

from fairlead.names import Names
from fairlead.redis.connect import open_async
from fairlead_gateway.sessions.actions import reads
from tests.gateway.patience import until
from tests.gateway.running import Client, Gateway, new_session, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def member(gateway: Gateway, session: str, user: str = "") -> Client:
    return await gateway.connect(user, f"/ws/chat/session/{session}")


def updates(frames: list[dict[str, object]]) -> list[dict[str, object]]:
    return [frame for frame in frames if frame["type"] == "message_status_update"]


async def test_the_sender_and_the_readers_other_devices_learn_that_it_was_read(gateway: Gateway) -> None:
    session, sender, reader = new_session(), new_user(), new_user()
    desk, pocket = await member(gateway, session, sender), await gateway.connect(sender)
    phone, laptop = await member(gateway, session, reader), await gateway.connect(reader)
    stranger = await member(gateway, session)
    said = await desk.ask("message", content="hello")

    reply = await phone.ask("read", session_id=session, message_id=said["message_id"])
    heard = [await device.hear("message_status_update") for device in (desk, pocket, laptop)]

    assert (said["status"], reply["status"], reply["duplicate"]) == ("sent", "read", False)
    for update in heard:
        facts = {key: update[key] for key in ("session_id", "message_id", "status", "user_id", "from")}
        assert facts == {
            "session_id": session,
            "message_id": said["message_id"],
            "status": "read",
            "user_id": reader,
            "from": f"user:{reader}",
        }
        assert update["timestamp"]
        assert update["offset"] > 0
    assert updates(await phone.heard()) == updates(await stranger.heard()) == []
    assert len(gateway.told("message_read", user_id=reader, sender=f"user:{sender}")) == 1


async def test_reading_twice_changes_nothing(gateway: Gateway) -> None:
    session, reader = new_session(), new_user()
    sender, phone = await member(gateway, session), await member(gateway, session, reader)
    said = await sender.ask("message", content="hello")

    replies = [await phone.ask("read", message_id=said["message_id"]) for _ in range(3)]
    await sender.hear("message_status_update")

    assert [reply["duplicate"] for reply in replies] == [False, True, True]
    assert updates(await sender.heard()) == []
    assert len(gateway.told("message_read", user_id=reader)) == 1


async def test_who_was_away_learns_it_on_return(gateway: Gateway) -> None:
    session, writer = new_session(), new_user()
    sender, reader = await member(gateway, session, writer), await member(gateway, session)
    said = await sender.ask("message", content="hello")
    stood = sender.greeting["channels"][f"user:{writer}"]
    await sender.leave()

    await reader.ask("read", message_id=said["message_id"])
    back = await gateway.open("/ws?wait=connect", bearer=token(writer))
    await back.say("connect", recover={f"user:{writer}": {"offset": 0, "epoch": "", **stood}})

    assert (await back.hear("message_status_update"))["message_id"] == said["message_id"]


async def test_ones_own_message_needs_no_receipt(gateway: Gateway) -> None:
    session, user = new_session(), new_user()
    desk, pocket = await member(gateway, session, user), await gateway.connect(user)
    said = await desk.ask("message", content="hello")

    reply = await desk.ask("read", message_id=said["message_id"])

    assert reply["status"] == "own"
    assert updates(await pocket.heard()) == []


async def test_what_a_backend_said_is_read_for_ones_other_devices_alone(gateway: Gateway) -> None:
    session, reader = new_session(), new_user()
    phone, laptop = await member(gateway, session, reader), await gateway.connect(reader)
    sent = await gateway.manager.send_to_session(session, {"type": "new_message", "from": "ai", "content": 1})

    reply = await phone.ask("read", message_id=sent.id)

    assert reply["status"] == "read"
    assert (await laptop.hear("message_status_update"))["message_id"] == sent.id


async def test_what_is_not_there_cannot_be_read_nor_what_one_has_not_joined(gateway: Gateway) -> None:
    session = new_session()
    sender, stranger = await member(gateway, session), await gateway.connect()
    said = await sender.ask("message", content="hello")

    missing = await sender.ask("read", session_id=session, message_id="no such message")
    foreign = await stranger.ask("read", session_id=session, message_id=said["message_id"])
    nowhere = await stranger.ask("read", message_id=said["message_id"])
    shapeless = await sender.ask("read", session_id=session)

    assert [error["code"] for error in (missing, foreign, nowhere, shapeless)] == [
        "not_found",
        "forbidden",
        "invalid_message",
        "invalid_message",
    ]


async def test_a_message_is_found_when_its_id_is_no_longer_in_the_window(gateway: Gateway, redis_url: str) -> None:
    session = new_session()
    sender, reader = await member(gateway, session), await member(gateway, session)
    said = [await sender.ask("message", content=n) for n in range(40)]
    names = Names(gateway.manager.settings.prefix)
    async with open_async(redis_url, names) as redis:
        assert await redis.delete(names.seen(f"session:{session}"))

    replies = [await reader.ask("read", message_id=said[n]["message_id"]) for n in (0, 39)]

    assert [reply.get("status") for reply in replies] == ["read", "read"]


# -- sending again ----------------------------------------------------------------------------------


async def test_a_message_sent_again_with_its_id_is_stored_and_handled_once(gateway: Gateway) -> None:
    session, user = new_session(), new_user()
    sender, other = await member(gateway, session, user), await member(gateway, session)
    handled: list[object] = []
    gateway.manager.register_handler(f"kind-{session}", lambda message, context: handled.append(message["content"]))

    frame = {"content": "pay", "message_type": f"kind-{session}", "message_id": "order-1"}
    first, again = [await sender.ask("message", **frame) for _ in range(2)]
    by_full_id = await sender.ask("message", **{**frame, "message_id": first["message_id"]})
    phone = await member(gateway, session, user)
    from_phone = await phone.ask("message", **frame)

    assert first["message_id"] == f"{user}/order-1"
    assert "duplicate" not in first
    for repeat in (again, by_full_id, from_phone):
        assert (repeat["duplicate"], repeat["message_id"]) == (True, first["message_id"])
        assert (repeat["offset"], repeat["epoch"], repeat["status"]) == (first["offset"], first["epoch"], "sent")
    assert handled == ["pay"]
    await until(lambda: gateway.told("message_received", user_id=user))
    assert len(gateway.told("message_received", user_id=user)) == 1
    assert (await other.hear("new_message"))["id"] == first["message_id"]
    assert [frame["type"] for frame in await other.heard() if frame["type"] == "new_message"] == []


async def test_the_id_of_one_user_is_not_that_of_another(gateway: Gateway) -> None:
    session = new_session()
    alice, bob = await member(gateway, session), await member(gateway, session)

    replies = [await client.ask("message", content=1, message_id="1") for client in (alice, bob)]

    assert [reply.get("duplicate") for reply in replies] == [None, None]
    assert replies[0]["message_id"] != replies[1]["message_id"]


@pytest.mark.parametrize("message_id", ["", "x" * 129, "x" * 126, "line\nbreak", 7])
async def test_what_is_no_message_id_is_refused(gateway: Gateway, message_id: object) -> None:
    sender = await member(gateway, new_session())

    error = await sender.ask("message", content=1, message_id=message_id)

    assert error["code"] == "invalid_message"


async def test_in_a_crowd_receipts_are_for_those_who_are_there(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "KEPT_PEOPLE", 1)
    session = new_session()
    sender, reader = await member(gateway, session), await member(gateway, session)
    said = await sender.ask("message", content="hello")

    await reader.ask("read", message_id=said["message_id"])

    assert "offset" not in await sender.hear("message_status_update")
