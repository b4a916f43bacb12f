"""What a channel has said, page by page, as ``past.lua`` tells it to backends and replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.errors import InvalidMessage, Unavailable
from fairlead.format.control import close_order
from fairlead.format.envelope import CONTROL, Envelope
from fairlead.format.past import MAX_PAGE, MAX_PAGE_BYTES, PAGE, Past, page, past
from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead.redis.calls import run
from fairlead.redis.scripts import load
from tests.support.redis import free_port

CHANNEL = "session:s1"


@pytest.fixture
async def fl(redis_url: str, names: Names) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=names.prefix, name="bot") as fl:
        yield fl


async def say(fl: Backend, count: int, size: int = 1) -> list[str]:
    """Say so many messages, the first with the content 1; their ids."""
    said = [{"type": "hello", "content": number, "pad": "x" * size} for number in range(1, count + 1)]
    return [(await fl.send_to_session("s1", one)).id for one in said]


def contents(past: Past) -> list[Any]:
    return [message["content"] for message in past.messages]


def entry(offset: int, exclude: str = "", flags: int = 0) -> list[Any]:
    """As Redis gives it."""
    envelope = Envelope(f"m-{offset}", "hello", b'{"content":%d}' % offset, exclude, flags).seal()
    return [b"%d-0" % offset, [b"m", b"m-%d" % offset, b"d", envelope]]


def test_a_reply_is_a_page_with_the_oldest_first() -> None:
    some = page([9, b"e.1", 1, [entry(7), entry(6)]], 8)

    assert [one.offset for one in some.entries] == [6, 7]
    assert (some.offset, some.epoch, some.more, some.before) == (9, "e.1", True, 6)
    assert some.size == sum(len(one[1][3]) for one in (entry(6), entry(7)))


@pytest.mark.parametrize(("before", "leads_to"), [(None, 10), (4, 4)])
def test_an_empty_page_leads_to_where_it_was_asked_for(before: int | None, leads_to: int) -> None:
    assert page([9, b"e.1", 0, []], before).before == leads_to


def test_who_reads_is_told_what_is_for_them() -> None:
    said = [entry(5, "user:42"), entry(4, "connection:c1"), entry(3), entry(2, flags=CONTROL), entry(1, "user:43")]
    some = page([5, b"e.1", 0, said], None)

    told = [contents(past(some, reader)) for reader in ("", "user:42", "user:43")]

    assert told == [[1, 3, 4, 5], [1, 3, 4], [3, 4, 5]]
    assert past(some).before == 1


async def test_the_last_messages_come_first_then_those_before_them(fl: Backend) -> None:
    ids = await say(fl, 7)

    pages = [await fl.history(CHANNEL, limit=3)]
    while pages[-1].more:
        pages.append(await fl.history(CHANNEL, 3, pages[-1].before))

    assert [contents(found) for found in pages] == [[5, 6, 7], [2, 3, 4], [1]]
    assert [found.before for found in pages] == [5, 2, 1]
    assert {(found.offset, found.epoch) for found in pages} == {(7, pages[0].epoch)}
    assert [message["id"] for found in pages[::-1] for message in found.messages] == ids
    assert [message["offset"] for found in pages[::-1] for message in found.messages] == list(range(1, 8))
    assert pages[0].messages[-1].keys() >= {"type", "from", "to", "channel", "timestamp", "session_id"}


async def test_a_page_that_is_just_full_is_the_last_one(fl: Backend) -> None:
    await say(fl, 3)

    assert (await fl.history(CHANNEL, limit=3)).more is False
    assert (await fl.history(CHANNEL, limit=2)).more is True


async def test_as_many_as_a_page_has_come_unless_asked_otherwise(fl: Backend) -> None:
    await say(fl, MAX_PAGE + 1)

    assert len((await fl.history(CHANNEL)).messages) == PAGE
    assert contents(await fl.history(CHANNEL, MAX_PAGE)) == list(range(2, MAX_PAGE + 2))


async def test_a_page_of_large_messages_is_short(fl: Backend) -> None:
    size = MAX_PAGE_BYTES // 10
    await say(fl, 25, size)

    found = await fl.history(CHANNEL, limit=100)

    assert 8 <= len(found.messages) <= 10
    assert (contents(found)[-1], found.more, found.before) == (25, True, found.messages[0]["offset"])
    assert contents(await fl.history(CHANNEL, 100, found.before))[-1] == found.messages[0]["content"] - 1


async def test_a_message_larger_than_a_page_comes_alone(fl: Backend) -> None:
    await say(fl, 3, MAX_PAGE_BYTES + 1)

    pages = [await fl.history(CHANNEL)]
    while pages[-1].more:
        pages.append(await fl.history(CHANNEL, before=pages[-1].before))

    assert [contents(found) for found in pages] == [[3], [2], [1]]


async def test_reading_does_not_make_a_channel(fl: Backend, redis: Redis, names: Names) -> None:
    found = await fl.history("session:never")

    assert found == Past([], 0, "", False, 1)
    assert await redis.keys(f"{names.prefix}:*never*") == []


async def test_what_expired_is_not_told_though_the_channel_stands_where_it_stood(
    fl: Backend, redis: Redis, names: Names
) -> None:
    await say(fl, 3)
    await redis.delete(names.log(CHANNEL))

    found = await fl.history(CHANNEL)

    assert (found.messages, found.offset, found.more, found.before) == ([], 3, False, 4)
    assert found.epoch


async def test_what_was_trimmed_is_not_said_to_be_kept(fl: Backend, redis: Redis, names: Names) -> None:
    await say(fl, 6)
    await redis.xtrim(names.log(CHANNEL), maxlen=3, approximate=False)

    first = await fl.history(CHANNEL, limit=2)
    second = await fl.history(CHANNEL, limit=2, before=first.before)
    third = await fl.history(CHANNEL, limit=2, before=second.before)

    assert (contents(first), first.more) == ([5, 6], True)
    assert (contents(second), second.more) == ([4], False)
    assert third == Past([], 6, first.epoch, False, 4)


async def test_a_log_that_outlived_its_channel_tells_nothing(fl: Backend, redis: Redis, names: Names) -> None:
    await say(fl, 3)
    await redis.delete(names.meta(CHANNEL))

    assert (await fl.history(CHANNEL)).messages == []

    await say(fl, 1)
    assert contents(await fl.history(CHANNEL)) == [1]


async def test_an_offset_of_before_is_none_of_the_new_epoch(fl: Backend, redis: Redis, names: Names) -> None:
    await say(fl, 5)
    before = await fl.history(CHANNEL, limit=2)
    await redis.delete(*names.of_durable(CHANNEL)[:3])
    await say(fl, 2)

    after = await fl.history(CHANNEL, before=before.before)

    assert (contents(after), after.offset) == ([1, 2], 2)
    assert after.epoch != before.epoch


async def test_what_is_not_for_clients_is_left_out_and_the_page_leads_on(
    fl: Backend, publisher: Publisher, redis: Redis, names: Names
) -> None:
    await say(fl, 2)
    await publisher.publish(CHANNEL, close_order(4003, "kicked"), durable=True)
    for frame in (b"no frame", b'{"no json}', b'{"depth":' + b"[" * 200 + b"]" * 200 + b"}", b'{"large":1e999}'):
        await publisher.publish(CHANNEL, Envelope(frame.decode(), "forged", frame), durable=True)

    found = await fl.history(CHANNEL, limit=3)

    assert (found.messages, found.more, found.before) == ([], True, 5)
    assert contents(await fl.history(CHANNEL, limit=50, before=found.before)) == [1, 2]


@pytest.mark.parametrize(
    ("fields", "meta"),
    [({"x": "y"}, {}), ({"m": b"\xff", "d": b"\xff"}, {}), ({}, {"o": "many"}), ({}, {"e": b"\xff"})],
    ids=str,
)
async def test_what_others_wrote_past_us_is_passed_over(
    fl: Backend, redis: Redis, names: Names, fields: dict[str, str], meta: dict[str, str]
) -> None:
    await say(fl, 2)
    if fields:
        await redis.xadd(names.log(CHANNEL), fields, id="2-1")
    if meta:
        await redis.hset(names.meta(CHANNEL), mapping=meta)

    assert contents(await fl.history(CHANNEL)) == [1, 2]


async def test_the_state_of_an_instance_and_of_a_task_is_told_as_it_was_pushed(fl: Backend) -> None:
    await fl.send_patch("counter", {"clicks": 1})
    await fl.update_task("t1", owner="42", progress=10)

    (patch,) = (await fl.history("instance:counter")).messages
    (update,) = (await fl.history("task:t1")).messages

    assert (patch["type"], patch["patch"], patch["version"], patch["offset"]) == ("patch", {"clicks": 1}, 1, 1)
    assert (update["type"], update["progress"], update["offset"]) == ("task_update", 10, 1)


@pytest.mark.parametrize("channel", ["topic:prices", "broadcast", "connection:c1"])
async def test_a_channel_that_keeps_nothing_is_refused(fl: Backend, channel: str) -> None:
    with pytest.raises(InvalidMessage, match="keeps no history"):
        await fl.history(channel)


@pytest.mark.parametrize("channel", ["s1", "session:", "session:a b", "room:1", "replica:r1", "fleet", "", 7, None])
async def test_what_is_no_channel_is_refused(fl: Backend, channel: Any) -> None:
    with pytest.raises(InvalidMessage):
        await fl.history(channel)


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1, True, 1.0, "5", None])
async def test_what_is_no_number_of_messages_is_refused(fl: Backend, limit: Any) -> None:
    with pytest.raises(InvalidMessage, match="limit"):
        await fl.history(CHANNEL, limit=limit)


@pytest.mark.parametrize("before", [0, -1, 2**53, 10**30, True, 1.0, "5"])
async def test_what_is_no_offset_is_refused(fl: Backend, before: Any) -> None:
    with pytest.raises(InvalidMessage, match="before"):
        await fl.history(CHANNEL, before=before)


@pytest.mark.parametrize("before", [1, 2, 2**53 - 1])
async def test_offsets_on_the_edge_are_answered_calmly(fl: Backend, before: int) -> None:
    await say(fl, 3)

    assert contents(await fl.history(CHANNEL, before=before)) == [1, 2, 3][: before - 1]


async def test_topics_that_are_kept_are_told(redis_url: str, names: Names) -> None:
    async with fairlead.connect(redis_url, prefix=names.prefix, durable=["topic"]) as fl:
        await fl.send_to_topic("prices", {"type": "tick", "content": 1})

        assert contents(await fl.history("topic:prices")) == [1]
        with pytest.raises(InvalidMessage, match="session:s1 keeps no history"):
            await fl.history(CHANNEL)


async def test_while_redis_is_away_it_says_so() -> None:
    async with fairlead.connect(f"redis://127.0.0.1:{free_port()}/0", timeout_seconds=0.3) as fl:
        with pytest.raises(Unavailable):
            await fl.history(CHANNEL)


async def test_threads_read_the_same(fl: Backend, redis_url: str, names: Names) -> None:
    await say(fl, 4)

    with fairlead.connect_sync(redis_url, prefix=names.prefix) as sync:
        found = sync.history(CHANNEL, limit=2)
        older = sync.history(CHANNEL, 2, found.before)
        with pytest.raises(InvalidMessage, match="keeps no history"):
            sync.history("topic:prices")
        with pytest.raises(InvalidMessage, match="before"):
            sync.history(CHANNEL, before=0)

    assert (found, older) == (await fl.history(CHANNEL, limit=2), await fl.history(CHANNEL, 2, 3))
    assert contents(older) == [1, 2]


async def test_of_large_messages_few_are_read_that_do_not_fit(fl: Backend, redis: Redis, names: Names) -> None:
    await say(fl, 40, MAX_PAGE_BYTES // 2)
    log, meta, _, term = names.of_durable(CHANNEL)
    await redis.config_resetstat()

    found = await run(redis, load("past"), (log, meta, term), ("", 100, MAX_PAGE_BYTES))

    stats = await redis.info("commandstats")
    assert (len(found[3]), stats["cmdstat_xrevrange"]["calls"]) == (1, 2), "one, then two of which none fits"
