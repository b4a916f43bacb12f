"""Sessions: who may join, who is told, who is there."""

from __future__ import annotations

import asyncio

import pytest

import fairlead
from tests.gateway.running import Client, Gateway, new_session, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def joined(gateway: Gateway, session: str, user: str = "") -> Client:
    """A client in a session, who has heard the news of its own joining."""
    client = await gateway.connect(user)
    assert (await client.ask("join_session", session_id=session))["ok"] is True
    await client.hear("session_joined")
    return client


async def test_members_are_told_who_joins_and_who_leaves(gateway: Gateway) -> None:
    session, user = new_session(), new_user()
    host = await joined(gateway, session)

    guest = await joined(gateway, session, user)
    came = await host.hear("session_joined")
    await guest.ask("leave_session", session_id=session)
    went = await host.hear("session_left")

    for news in (came, went):
        assert (news["user_id"], news["connection_id"], news["session_id"]) == (user, guest.id, session)
        assert news["from"] == f"user:{user}"
        assert "offset" not in news


async def test_members_are_told_when_somebody_hangs_up(gateway: Gateway) -> None:
    session, user = new_session(), new_user()
    host, guest = await joined(gateway, session), await joined(gateway, session, user)

    await guest.leave()

    assert (await host.hear("session_left"))["user_id"] == user


async def test_joining_again_is_no_news(gateway: Gateway) -> None:
    session = new_session()
    host, guest = await joined(gateway, session), await joined(gateway, session)
    await host.hear("session_joined")

    again = await guest.ask("join_session", session_id=session)
    await guest.ask("message", content="marker")
    await host.hear("new_message")

    assert again["ok"] is True
    assert await host.heard() == []


async def test_leaving_a_session_one_is_not_in_is_no_news(gateway: Gateway) -> None:
    session = new_session()
    host, stranger = await joined(gateway, session), await gateway.connect()

    reply = await stranger.ask("leave_session", session_id=session)
    await host.ask("message", content="marker")

    assert reply["ok"] is True
    assert [frame["type"] for frame in await host.heard()] == ["skipped"]


async def test_joining_tells_where_the_session_stands(gateway: Gateway) -> None:
    session = new_session()
    sent = await gateway.manager.send_to_session(session, {"type": "before"})
    client = await gateway.connect()

    reply = await client.ask("join_session", session_id=session)

    assert reply["session_id"] == session
    assert reply["channels"] == {f"session:{session}": {"offset": sent.offset, "epoch": sent.epoch}}


async def test_who_is_not_a_member_may_not_join_until_a_backend_grants_it(gateway: Gateway, redis_url: str) -> None:
    session, user = new_session(), new_user()
    client = await gateway.connect(bearer=token(user, topics=["none"]))
    before = await client.ask("join_session", session_id=session)

    async with fairlead.connect(redis_url, prefix=gateway.manager.settings.prefix) as backend:
        await backend.grant_session(session, [user])
    after = await client.ask("join_session", session_id=session)

    assert (before["code"], before["detail"]) == ("forbidden", {"channels": [f"session:{session}"]})
    assert after["ok"] is True


async def test_the_path_of_a_session_sits_the_client_in_it(gateway: Gateway) -> None:
    session, user = new_session(), new_user()
    host = await joined(gateway, session)

    guest = await gateway.connect(user, f"/ws/chat/session/{session}")
    reply = await guest.ask("message", content="hello from the path")

    assert guest.greeting["session_id"] == session
    assert f"session:{session}" in guest.greeting["channels"]
    assert (await host.hear("session_joined"))["user_id"] == user
    assert (await host.hear("new_message"))["content"] == "hello from the path"
    assert reply["channel"] == f"session:{session}"


async def test_messages_without_a_session_go_to_the_one_joined_last(gateway: Gateway) -> None:
    first, second = new_session(), new_session()
    client = await joined(gateway, first)
    in_first = await client.ask("message", content=1)
    await client.ask("join_session", session_id=second)
    in_second = await client.ask("message", content=2)
    back_in_first = await client.ask("message", content=3, session_id=first)
    await client.ask("leave_session", session_id=second)
    nowhere = await client.ask("message", content=4)

    assert in_first["channel"] == back_in_first["channel"] == f"session:{first}"
    assert in_second["channel"] == f"session:{second}"
    assert nowhere["code"] == "invalid_message"


async def test_presence_counts_each_user_once_with_its_connections(gateway: Gateway) -> None:
    session, ann, bob = new_session(), f"a{new_user()}", f"b{new_user()}"
    host = await joined(gateway, session, bob)
    await joined(gateway, session, ann)
    await (await gateway.connect(ann)).ask("join_session", session_id=session)

    answer = await host.ask("presence", channel=f"session:{session}")

    assert [(user["user_id"], user["connections"]) for user in answer["users"]] == [(ann, 2), (bob, 1)]
    assert (answer["channel"], answer["count"]) == (f"session:{session}", 2)


async def test_presence_is_true_within_a_second_of_a_clean_leave(gateway: Gateway) -> None:
    session = new_session()
    host, guest = await joined(gateway, session), await joined(gateway, session)

    await guest.leave()

    async with asyncio.timeout(1):
        while (await host.ask("presence", channel=f"session:{session}"))["count"] != 1:
            await asyncio.sleep(0.01)


async def test_presence_of_a_channel_one_does_not_hear_is_not_told(gateway: Gateway) -> None:
    session = new_session()
    await joined(gateway, session)
    stranger = await gateway.connect()

    assert (await stranger.ask("presence", channel=f"session:{session}"))["code"] == "forbidden"
