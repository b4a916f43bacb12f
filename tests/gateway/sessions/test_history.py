"""``history``: what a client that hears a channel is told of what was said in it before."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed

from fairlead.errors import InvalidMessage
from fairlead.format.past import MAX_PAGE_BYTES, Past
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from fairlead_gateway.sessions.frames import History
from tests.gateway.patience import until_asked
from tests.gateway.running import Client, Gateway, Message, new_session, new_user, serving, settings_for
from tests.support.redis import Server
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def member(gateway: Gateway, session: str, user: str = "", **options: Any) -> Client:
    return await gateway.connect(user, f"/ws/chat/session/{session}", **options)


async def say(gateway: Gateway, session: str, count: int, size: int = 1) -> None:
    for number in range(1, count + 1):
        await gateway.manager.send_to_session(session, {"type": "hello", "content": number, "pad": "x" * size})


def contents(page: Message) -> list[Any]:
    return [message["content"] for message in page["messages"]]


async def test_a_page_has_the_frames_that_were_pushed(gateway: Gateway) -> None:
    session, user = new_session(), new_user()
    heard = await member(gateway, session)
    for content in ({"a": [1, None, 2.5]}, "Größe", 2**63):
        await gateway.manager.send_to_session(session, {"type": "hello", "content": content})
    pushed = [await heard.hear("hello") for _ in range(3)]

    client = await member(gateway, session, user)
    page = await client.ask("history", channel=f"session:{session}")

    assert page["messages"] == pushed
    assert [list(one) for one in page["messages"]] == [list(one) for one in pushed], "in the same order, too"
    standing = client.greeting["channels"][f"session:{session}"]
    assert (page["type"], page["ok"], page["channel"]) == ("reply", True, f"session:{session}")
    assert {"offset": page["offset"], "epoch": page["epoch"]} == standing
    assert (page["more"], page["before"]) == (False, 1)
    assert "hello" not in [message["type"] for message in await client.heard()], "nothing is pushed for it"


async def test_what_is_not_for_a_user_is_not_told_and_what_one_said_oneself_is(gateway: Gateway) -> None:
    session, user = new_session(), new_user()
    mine, other = await member(gateway, session, user), await member(gateway, session)
    phone = await member(gateway, session, user)
    for client, content in ((mine, "mine"), (other, "theirs")):
        await client.ask("message", content=content)
    for content in ("not mine", "nor this"):
        await gateway.manager.send_to_session(session, {"type": "hello", "content": content}, exclude=f"user:{user}")
    channel = f"session:{session}"

    told = [contents(await client.ask("history", channel=channel)) for client in (mine, phone, other)]
    first = await mine.ask("history", channel=channel, limit=2)
    second = await mine.ask("history", channel=channel, limit=2, before=first["before"])

    assert told == [["mine", "theirs"], ["mine", "theirs"], ["mine", "theirs", "not mine", "nor this"]]
    assert (first["messages"], first["more"], first["before"]) == ([], True, 3), "an empty page leads on"
    assert (contents(second), second["more"]) == (["mine", "theirs"], False)


async def test_nothing_is_missing_between_what_was_said_and_what_is_heard(gateway: Gateway) -> None:
    session = new_session()
    speaking = asyncio.create_task(say(gateway, session, 150))
    client = await member(gateway, session)
    joined_at = client.greeting["channels"][f"session:{session}"]["offset"]

    older = await client.ask("history", channel=f"session:{session}", limit=100, before=joined_at + 1)
    newest = await client.ask("history", channel=f"session:{session}", limit=100)
    await speaking
    live = [message["offset"] for message in await client.heard() if message["type"] == "hello"]

    assert [one["offset"] for one in older["messages"]] == list(range(max(1, joined_at - 99), joined_at + 1))
    assert live == list(range(joined_at + 1, 151))
    known = {one["offset"] for one in (*older["messages"], *newest["messages"])} | set(live)
    assert known == set(range(min(known), 151))


async def test_a_page_that_nobody_could_tell_apart_is_not_read(gateway: Gateway) -> None:
    session = new_session()
    client = await member(gateway, session)

    await client.say("history", channel=f"session:{session}")

    refused = await client.hear("error")
    assert refused["code"] == "invalid_message" and "id" in refused["message"]


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ("session:{}", "join session {} first"),
        ("instance:{}", "subscribe to instance:{} first"),
        ("task:{}", "subscribe_task"),
        ("device:{}", "subscribe to device:{} first"),
        ("user:{}", "user:{} is not yours to hear"),
        ("role:{}", "role:{} is not yours to hear"),
    ],
)
async def test_what_a_client_does_not_hear_it_is_not_told(gateway: Gateway, channel: str, says: str) -> None:
    client, id = await gateway.connect(), new_session()
    await gateway.manager.send(channel.format(id), {"type": "secret"})

    error = await client.ask("history", channel=channel.format(id))

    assert (error["type"], error["code"]) == ("error", "forbidden")
    assert says.format(id) in error["message"]
    assert error["detail"] == {"channels": [channel.format(id)]}


async def test_who_has_left_is_told_no_more(gateway: Gateway) -> None:
    session = new_session()
    client = await member(gateway, session)
    assert (await client.ask("history", channel=f"session:{session}"))["type"] == "reply"

    await client.ask("leave_session", session_id=session)

    assert (await client.ask("history", channel=f"session:{session}"))["code"] == "forbidden"


async def test_ones_own_channels_are_told(gateway: Gateway) -> None:
    user, role = new_user(), new_session()
    client = await gateway.connect(bearer=token(user, role=role))
    for channel in (f"user:{user}", f"role:{role}"):
        await gateway.manager.send(channel, {"type": "hello", "content": channel})

        assert contents(await client.ask("history", channel=channel)) == [channel]


@pytest.mark.parametrize("channel", ["topic:prices", "broadcast", "connection:{}"])
async def test_a_channel_that_keeps_nothing_says_so(gateway: Gateway, channel: str) -> None:
    client = await gateway.connect()
    await client.ask("subscribe", channels=["topic:prices"])

    error = await client.ask("history", channel=channel.format(client.id))

    assert (error["code"], "keeps no history" in error["message"]) == ("invalid_message", True)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"before": before} for before in (0, -1, 2**53, 2**64 - 1, True, False, 1.0, 1.5, "1", [1], {})),
        *({"limit": limit} for limit in (0, -1, 101, 2**63, True, 2.0, "2", None, [])),
        *({"channel": channel} for channel in (None, "", "s1", "session:", "session:a b", "room:x", 7, "x" * 161, [])),
        *({"channel": channel} for channel in ("replica:r1", "fleet", "admins", "session:a/../b", "session:\x00")),
    ],
    ids=json.dumps,
)
async def test_what_is_wrong_is_named(gateway: Gateway, wrong: dict[str, Any]) -> None:
    session = new_session()
    client = await member(gateway, session)

    error = await client.ask("history", **{"channel": f"session:{session}", **wrong})

    assert error["code"] == "invalid_message", error
    assert (await client.ask("history", channel=f"session:{session}", before=None))["type"] == "reply"


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["channel", "limit", "before", "id", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200) | st.lists(st.integers()),
    )
)
async def test_whatever_is_asked_is_a_page_or_refused(frame: dict[str, Any]) -> None:
    try:
        asked = History.model_validate(frame)
    except ValidationError:
        return
    assert 1 <= len(asked.channel) <= 160 and 1 <= asked.limit <= 100
    assert asked.before is None or 1 <= asked.before < 2**53
    assert type(asked.limit) is int and type(asked.before) in (int, type(None))


async def test_in_msgpack_it_is_the_same(gateway: Gateway) -> None:
    session = new_session()
    packed, plain = [await member(gateway, session, subprotocols=some) for some in ([MSGPACK_SUBPROTOCOL], [])]
    for content in ({"Größe": [1, None, 2.5]}, 2**64 - 1, -(2**63)):
        await gateway.manager.send_to_session(session, {"type": "hello", "content": content})

    pages = [await client.ask("history", channel=f"session:{session}", limit=2) for client in (packed, plain)]

    assert pages[0] == pages[1]
    assert contents(pages[0]) == [2**64 - 1, -(2**63)]


async def test_a_message_as_large_as_they_come_does_not_end_who_reads_it(redis_url: str) -> None:
    async with serving(settings_for(redis_url, max_outbox_bytes=64 * 1024)) as gateway:
        session = new_session()
        await say(gateway, session, 2, 900_000)
        client = await member(gateway, session)

        pages = [await client.ask("history", channel=f"session:{session}", before=before) for before in (3, 2)]

        assert [contents(page) for page in pages] == [[2], [1]]


async def test_who_asks_in_a_loop_is_held_like_anybody(redis_url: str) -> None:
    async with serving(settings_for(redis_url, rate_messages_per_second=5)) as gateway:
        session = new_session()
        await say(gateway, session, 3)
        client = await member(gateway, session)
        for number in range(25):
            await client.say("history", id=f"h{number}", channel=f"session:{session}")

        answers = [await client.answer(f"h{number}") for number in range(25)]

        assert [one["type"] for one in answers] == ["reply"] * 20 + ["error"] * 5
        assert {one["code"] for one in answers[20:]} == {"rate_limited"}


async def test_who_asks_and_does_not_read_is_let_go(redis_url: str) -> None:
    async with serving(settings_for(redis_url, rate_messages_per_second=0, max_outbox_bytes=64 * 1024)) as gateway:
        session = new_session()
        await say(gateway, session, 20, MAX_PAGE_BYTES // 10)
        client = await member(gateway, session)
        socket = next(iter(gateway.manager.pool)).socket
        client.socket.transport.pause_reading()
        most = 0

        async def is_gone() -> bool:
            nonlocal most
            most = max(most, socket.outbox_bytes)
            try:
                await client.say("history", channel=f"session:{session}", id="h")
            except ConnectionClosed:
                pass
            return not gateway.manager.connections()

        await until_asked(is_gone, 15)
        client.socket.transport.resume_reading()
        assert (await client.closed())[0] in (4100, 1006)
        assert most < 8 * MAX_PAGE_BYTES


async def test_the_manager_reads_the_same(gateway: Gateway) -> None:
    session = new_session()
    await say(gateway, session, 3)
    client = await member(gateway, session)

    page = await client.ask("history", channel=f"session:{session}", limit=2)
    past = await gateway.manager.history(f"session:{session}", limit=2)

    assert past == Past(*(page[name] for name in Past._fields))
    for wrong in ({"channel": "topic:x"}, {"channel": f"session:{session}", "before": 0}):
        with pytest.raises(InvalidMessage):
            await gateway.manager.history(**wrong)


async def test_while_redis_is_away_it_says_so(own_server: Server) -> None:
    async with serving(settings_for(own_server.url)) as gateway:
        session = new_session()
        client = await member(gateway, session)
        own_server.stop()

        error = await client.ask("history", channel=f"session:{session}")
        own_server.start()

        assert error["code"] == "unavailable"

        async def is_told() -> bool:
            return (await client.ask("history", channel=f"session:{session}"))["type"] == "reply"

        await until_asked(is_told, 10)
