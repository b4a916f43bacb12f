"""Answers to clients' actions go one way, whoever gives them, and however often."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.errors import FairleadError, InvalidMessage
from fairlead.format.envelope import unseal
from fairlead.names import Names
from fairlead.redis.calls import run
from fairlead.streams import answers
from fairlead.streams.answers import Asked, Refusal, Silent
from tests.shared.streams.test_feeds import said

ASKED = Asked("a-1", "42", "c1", "q1", "")


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=prefix, name="bot") as fl:
        yield fl


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No replica takes anything here, and nobody waits for that."""
    monkeypatch.setattr(answers, "TAKEN_SECONDS", 0.2)


async def messages(redis: Redis, names: Names, channel: str = "user:42") -> list[dict[str, Any]]:
    return [json.loads(unseal(fields[b"d"]).envelope.frame) for _, fields in await redis.xrange(names.log(channel))]


def test_what_a_client_is_told_comes_back_out() -> None:
    assert answers.result_of(answers.success({"n": 1})) == {"n": 1}
    with pytest.raises(Refusal) as refused:
        answers.result_of(answers.failure("conflict", "not now", {"n": 1}))
    assert (refused.value.code, refused.value.message, refused.value.detail) == ("conflict", "not now", {"n": 1})


@pytest.mark.parametrize(
    "make",
    [
        lambda: answers.success("text"),  # type: ignore[arg-type]
        lambda: answers.success({"n": float("nan")}),
        lambda: answers.success({"n": "x" * 1_000_000}),
        lambda: answers.failure("no_such_code", "", {}),
        lambda: answers.result_of(b"[]"),
        lambda: answers.result_of(b"{"),
    ],
)
def test_what_is_no_answer_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(FairleadError):
        make()


def test_a_late_answer_cannot_pretend_to_be_something_else() -> None:
    forged = {"type": "x", "ref": "other", "late": False, "connection_id": "c9", "ok": False, "id": "m", "n": 1}

    envelope = answers.late(ASKED, answers.success(forged), "service:bot")

    frame = json.loads(envelope.frame)
    assert (envelope.id, frame["type"], frame["ref"], frame["late"]) == ("a-1", "reply", "q1", True)
    assert (frame["connection_id"], frame["ok"], frame["id"], frame["n"]) == ("c1", True, "a-1", 1)


@pytest.mark.usefixtures("at_once")
async def test_an_answer_that_no_replica_takes_goes_to_the_user(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.inbound("bot") as feed:
        await said(redis, names, reply=names.replies("nobody"), ref="q1")
        outcome = await (await anext(feed)).reply({"n": 1})
    (late,) = await messages(redis, names)

    assert outcome == "late"
    assert (late["type"], late["ok"], late["late"], late["n"], late["from"]) == ("reply", True, True, 1, "service:bot")


@pytest.mark.usefixtures("at_once")
async def test_an_error_that_comes_late_is_told_as_one(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.inbound("bot") as feed:
        await said(redis, names, reply=names.replies("nobody"), ref="q1")
        assert await (await anext(feed)).error("conflict", "not now", n=1) == "late"
    (late,) = await messages(redis, names)

    assert (late["type"], late["ok"], late["code"], late["message"]) == ("reply", False, "conflict", "not now")
    assert late["detail"] == {"n": 1}


@pytest.mark.usefixtures("at_once")
async def test_what_a_backend_left_in_the_middle_the_next_one_finishes(fl: Backend, redis: Redis, names: Names) -> None:
    """The first wrote its answer down and died; the second is given the action again, and answers otherwise."""
    await run(redis, *answers.answer(names, ASKED, answers.success({"by": "first"}), ""))
    async with fl.inbound("bot") as feed:
        await said(redis, names, reply=names.replies("nobody"), ref="q1")
        outcome = await (await anext(feed)).reply({"by": "second"})

    assert outcome == "duplicate"
    assert [message["by"] for message in await messages(redis, names)] == ["first"]


@pytest.mark.usefixtures("at_once")
async def test_of_two_answers_at_the_same_time_one_counts(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.inbound("one") as one, fl.inbound("two") as two:
        for _ in range(20):
            await said(redis, names, id=f"a-{_}", reply=names.replies("nobody"), ref="q1")
            both = [await anext(feed) for feed in (one, two)]
            outcomes = await asyncio.gather(*(m.reply({"n": n}) for n, m in enumerate(both)))
            assert sorted(outcomes) == ["duplicate", "late"]

    assert len(await messages(redis, names)) == 20


async def test_a_message_is_answered_as_often_as_one_likes_and_once_each(
    fl: Backend, redis: Redis, names: Names
) -> None:
    frame = json.dumps({"action": "message", "content": "hi"})
    for _ in range(2):
        async with fl.inbound("bot", consumer="one") as feed:
            if not await redis.xlen(names.inbound):
                await said(redis, names, action="message", frame=frame, channel="session:s1")
            m = await anext(feed)
            outcomes = [await m.reply({"content": n}) for n in range(2)]
    async with fl.inbound("other", from_start=True) as feed:
        await (await anext(feed)).reply({"content": "of another group"})

    assert outcomes == ["duplicate", "duplicate"], "the second time it is all said already"
    contents = [message["content"] for message in await messages(redis, names, "session:s1")]
    assert contents == [0, 1, "of another group"]


async def test_what_cannot_be_said_is_refused_before_redis_is_touched(fl: Backend, redis: Redis, names: Names) -> None:
    async with fl.inbound("bot") as feed:
        await said(redis, names, reply=names.replies("nobody"), ref="q1")
        await said(redis, names, action="message", channel="session:s1")
        action, message = await anext(feed), await anext(feed)
        for m in (action, message):
            with pytest.raises(InvalidMessage):
                m.reply("text")  # type: ignore[arg-type]
            with pytest.raises(InvalidMessage):
                m.error("no_such_code", "")

    assert not await redis.exists(names.answer("42", "a-1"))


async def test_a_replica_that_died_with_many_actions_is_waited_for_once(
    fl: Backend, redis: Redis, names: Names
) -> None:
    waited = []
    async with fl.inbound("bot") as feed:
        for n in range(20):
            await said(redis, names, id=f"a-{n}", reply=names.replies("dead"), ref=f"q{n}")
        for _ in range(20):
            m = await anext(feed)
            began = time.monotonic()
            assert await m.reply({}) == "late"
            waited.append(time.monotonic() - began)

    assert waited[0] >= answers.TAKEN_SECONDS
    assert sum(waited[1:]) < answers.TAKEN_SECONDS
    assert [message["ref"] for message in await messages(redis, names)] == [f"q{n}" for n in range(20)]


def test_who_takes_something_again_is_waited_for_again() -> None:
    silent = Silent()
    assert silent.seconds("r1", 0) == answers.TAKEN_SECONDS
    silent.took_nothing("r1", 0)
    assert (silent.seconds("r1", 1), silent.seconds("r2", 1)) == (answers.GLANCE_SECONDS, answers.TAKEN_SECONDS)
    silent.took_nothing("r1", 5)
    assert silent.seconds("r1", answers.SILENT_SECONDS) == answers.TAKEN_SECONDS, "now and then it is tried again"
    silent.took_nothing("r1", 20)
    silent.took_something("r1")
    assert silent.seconds("r1", 21) == answers.TAKEN_SECONDS


@pytest.mark.usefixtures("at_once")
async def test_threads_answer_the_same_way(redis_url: str, redis: Redis, names: Names) -> None:
    with fairlead.connect_sync(redis_url, prefix=names.prefix, name="bot") as fl, fl.inbound("bot") as feed:
        await said(redis, names, reply=names.replies("nobody"), ref="q1")
        await said(redis, names, action="message", channel="topic:t", frame='{"content":"hi"}')
        await said(redis, names)
        outcomes = []
        for _ in range(3):
            m = await asyncio.to_thread(next, feed)
            outcomes.append(await asyncio.to_thread(m.reply, {"content": m.content}))

    assert outcomes == ["late", "delivered", "unasked"]
    assert [message["type"] for message in await messages(redis, names)] == ["reply", "new_message"]
