"""People, not sockets: who reloads has not left, who leaves has left once, and who may see it is told (ST-4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.gateway.patience import until
from tests.gateway.running import Client, Gateway, Message, new_session, new_user, serving, settings_for
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRACE = 0.8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(redis_url: str) -> AsyncIterator[list[Gateway]]:
    """Two replicas of one fleet, with a grace in which one comes back easily."""
    settings = settings_for(redis_url, presence_grace_seconds=GRACE, rate_messages_per_second=0, status_update_people=4)
    async with serving(settings) as first, serving(settings) as second:
        yield [first, second]


async def sitting(gateway: Gateway, session: str, user: str = "") -> Client:
    """A client that came by the path of a session."""
    return await gateway.connect(user, f"/ws/chat/session/{session}")


def told(pair: list[Gateway], event: str, **facts: object) -> list[Message]:
    """Events of all replicas."""
    return [entry for gateway in pair for entry in gateway.told(event, **facts)]


def of(frames: list[Message], user: str) -> list[str]:
    """What was said about a user."""
    return [frame["type"] for frame in frames if frame.get("user_id") == user]


async def test_a_reload_is_neither_a_departure_nor_an_arrival(pair: list[Gateway]) -> None:
    session, user = new_session(), new_user()
    host, guest = await sitting(pair[0], session), await sitting(pair[0], session, user)
    for _ in ("of itself", "of the guest"):
        await host.hear("session_joined")
    await host.hear("user_status_update")

    for n in range(4):
        await guest.leave()
        guest = await sitting(pair[n % 2], session, user)
    await asyncio.sleep(GRACE * 1.5)

    assert of(await host.heard(), user) == []
    assert len(told(pair, "user_connected", user_id=user)) == 1
    assert not told(pair, "user_disconnected", user_id=user)
    assert not told(pair, "session_left", user_id=user)


async def test_who_stays_away_has_left_once_and_everybody_who_may_see_it_is_told(pair: list[Gateway]) -> None:
    session, user = new_session(), new_user()
    watcher = await pair[1].connect()
    await watcher.ask("subscribe", channels=["topic:presence"])
    hosts = [await sitting(gateway, session) for gateway in pair]
    guest = await sitting(pair[0], session, user)
    await until(lambda: told(pair, "user_connected", user_id=user))
    await guest.leave()
    await until(lambda: told(pair, "user_disconnected", user_id=user), GRACE + 3)
    await until(lambda: told(pair, "session_left", user_id=user), 3)

    for host in hosts:
        frames = [frame for frame in await host.heard() if frame.get("user_id") == user]
        by_type = {frame["type"]: frame for frame in frames if frame.get("status") != "online"}
        assert [frame["type"] for frame in frames].count("session_left") == 1
        left, offline = by_type["session_left"], by_type["user_status_update"]
        assert (left["connection_id"], left["session_id"]) == (guest.id, session)
        assert (offline["status"], offline["session_id"]) == ("offline", session)
        assert offline["last_seen"] <= offline["timestamp"]
    statuses = [frame["status"] for frame in await watcher.heard() if frame.get("user_id") == user]
    assert statuses == ["online", "offline"]
    (gone,) = told(pair, "user_disconnected", user_id=user)
    assert gone["connection_id"] == guest.id
    assert gone["last_seen"] == offline["last_seen"]
    assert len(told(pair, "session_left", user_id=user)) == 1


async def test_a_second_device_is_no_news_and_the_last_of_two_is(pair: list[Gateway]) -> None:
    session, user = new_session(), new_user()
    host, phone = await sitting(pair[0], session), await sitting(pair[0], session, user)
    await until(lambda: told(pair, "session_joined", user_id=user))
    laptop = await sitting(pair[1], session, user)
    await phone.leave()
    await asyncio.sleep(GRACE * 1.5)
    before = of(await host.heard(), user)
    await laptop.ask("leave_session", session_id=session)

    left = await host.hear("session_left")

    assert before.count("session_joined") == 1
    assert "session_left" not in before
    assert (left["user_id"], left["connection_id"]) == (user, laptop.id)
    await until(lambda: told(pair, "session_left", user_id=user))
    await asyncio.sleep(GRACE * 1.5)
    assert of(await host.heard(), user) == []


async def test_several_sessions_on_one_socket_are_joined_and_left_each_for_itself(pair: list[Gateway]) -> None:
    sessions, user = [new_session() for _ in range(3)], new_user()
    hosts = [await sitting(pair[n % 2], session) for n, session in enumerate(sessions)]
    guest = await pair[0].connect(user)
    for session in sessions:
        assert (await guest.ask("join_session", session_id=session))["ok"]

    await guest.ask("leave_session", session_id=sessions[1])
    await hosts[1].hear("session_left")
    replies = [await guest.ask("message", session_id=session, content="hi") for session in sessions]
    heard = [(await host.hear("new_message"))["session_id"] for host in (hosts[0], hosts[2])]

    assert [reply.get("code") for reply in replies] == [None, "forbidden", None]
    assert heard == [sessions[0], sessions[2]]
    assert [of(await host.heard(), user).count("session_left") for host in hosts] == [0, 0, 0]
    assert len(told(pair, "session_joined", user_id=user)) == 3


async def test_unsubscribing_and_subscribing_are_leaving_and_joining(pair: list[Gateway]) -> None:
    session, user = new_session(), new_user()
    host, guest = await sitting(pair[0], session), await pair[1].connect(user)
    await host.hear("session_joined")

    await guest.ask("subscribe", channels=[f"session:{session}"])
    came = await host.hear("session_joined")
    await guest.ask("unsubscribe", channels=[f"session:{session}"])
    went = await host.hear("session_left")

    assert came["user_id"] == went["user_id"] == user


async def test_a_crowd_is_not_told_who_of_it_is_online(pair: list[Gateway]) -> None:
    session = new_session()
    crowd = [await sitting(pair[n % 2], session) for n in range(7)]
    joined = [await crowd[0].hear("session_joined") for _ in crowd]
    await until(lambda: len(told(pair, "session_joined", session_id=session)) == len(crowd))

    heard = await crowd[0].heard()

    assert len({frame["user_id"] for frame in joined}) == len(crowd)
    assert sum(frame["type"] == "user_status_update" for frame in heard) == 3


async def test_presence_says_since_when_each_user_is_there(pair: list[Gateway]) -> None:
    session, user = new_session(), new_user()
    host = await sitting(pair[0], session, user)
    first = (await host.ask("presence", channel=f"session:{session}"))["users"][0]["since"]
    await sitting(pair[1], session, user)

    answer = await host.ask("presence", channel=f"session:{session}")
    own = await host.ask("presence", channel=f"user:{user}")

    assert answer["users"] == [{"user_id": user, "connections": 2, "since": first}]
    assert own["users"][0]["connections"] == 2
    assert own["users"][0]["since"] <= first


async def test_who_is_refused_before_it_is_live_leaves_no_half_news(pair: list[Gateway]) -> None:
    session, user = new_session(), new_user()
    host = await sitting(pair[0], session)
    await host.hear("session_joined")
    for n in range(5):
        await sitting(pair[n % 2], session, user)

    refused = await pair[0].open(f"/ws/chat/session/{session}", bearer=token(user))
    assert (await refused.closed())[0] == 4429
    await host.ask("ping")

    assert of(await host.heard(), user).count("session_joined") <= 1
    assert len(told(pair, "session_joined", user_id=user)) == 1
    assert not told(pair, "session_left", user_id=user)
