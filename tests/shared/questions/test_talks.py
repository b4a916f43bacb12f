"""Whoever dies in the middle of a talk is stood in for: what it began is ended, once, by whoever sweeps (ASK-3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from fairlead.errors import Conflict, RateLimited, Unavailable
from fairlead.names import Names
from fairlead.questions import asks, talks
from fairlead.redis.calls import run
from tests.shared.questions.asked import ANNA, BOB, NO, YES, World, asked

STEPS = range(1, 8)
"""More than any talk has."""


@pytest.fixture
async def world(redis: Redis, names: Names) -> AsyncIterator[World]:
    world = World(redis, names)
    yield world
    await world.aclose()


# -- every step may be the last -----------------------------------------------------------------------


@pytest.mark.parametrize("steps", STEPS)
async def test_who_dies_while_asking_has_asked(world: World, steps: int) -> None:
    question = asked("anna", "role:ops", task_id="t-1")
    await world.drive(world.opening(question), steps=steps)

    await world.sweep(question)

    for channel in ("user:anna", "role:ops"):
        assert await world.dialogs(channel, question) == ["shown"]
        assert await world.listed(channel) == [question.id]
    assert await world.listed("task:t-1") == [question.id]
    assert "requested" in await world.audited(question)
    assert await world.due(question) == (await world.standing(question)).deadline


@pytest.mark.parametrize("steps", STEPS)
async def test_who_asks_about_a_cancelled_task_bothers_nobody(world: World, redis: Redis, steps: int) -> None:
    question = asked("anna", "role:ops", task_id="t-1")
    await redis.hset(world.names.task("t-1"), "status", '"cancelled"')
    await world.drive(world.opening(question), steps=steps)

    await world.sweep(question)

    assert (await world.standing(question)).state == "cancelled"
    for channel in ("user:anna", "role:ops"):
        assert "shown" not in await world.dialogs(channel, question)
        assert await world.listed(channel) == []
    assert await world.listed("task:t-1") == []


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("ending", ["answered", "cancelled"])
async def test_who_dies_while_ending_it_has_ended_it(world: World, steps: int, ending: str) -> None:
    question, reply = asked("anna", "role:ops", task_id="t-1"), world.names.replies("w1")
    await world.open(question, reply)
    talk = world.answering(question) if ending == "answered" else world.closing(question)
    await world.drive(talk, steps=steps)

    await world.sweep(question)

    for channel in ("user:anna", "role:ops"):
        assert await world.dialogs(channel, question) == ["shown", ending]
        assert await world.listed(channel) == []
    assert await world.listed("task:t-1") == []
    assert set(await world.told(reply)) == {world.record(question).key}
    assert ending in await world.audited(question)
    assert (await world.standing(question)).told
    assert await world.due(question) is None


@pytest.mark.parametrize("steps", STEPS)
async def test_who_dies_while_asking_more_people_has_asked_them(world: World, steps: int) -> None:
    question = asked("anna", escalate=[(0.05, ["role:lead", "anna"])])
    await world.open(question)
    await asyncio.sleep(0.06)
    await world.drive(talks.tending(world.names, question.id), steps=steps)

    await world.sweep(question)

    assert await world.dialogs("role:lead", question) == ["shown"]
    assert await world.dialogs("user:anna", question) == ["shown"]
    assert await world.listed("role:lead") == [question.id]
    assert (await world.standing(question)).to == ("user:anna", "role:lead")
    assert (await world.audited(question)).count("requested") == 1
    assert await world.answer(question, asks.Responder("lea", "lead")) == "accepted"
    assert await world.dialogs("role:lead", question) == ["shown", "answered"]


@pytest.mark.parametrize("steps", STEPS)
async def test_who_dies_when_nobody_answers_has_told_it(world: World, steps: int) -> None:
    question = asked("anna", timeout=1)
    await world.open(question)
    await asyncio.sleep(1.01)
    await world.drive(talks.tending(world.names, question.id), steps=steps)

    await world.sweep(question)

    assert await world.dialogs("user:anna", question) == ["shown", "timed_out"]
    assert "timed_out" in await world.audited(question)
    assert await world.due(question) is None


@pytest.mark.parametrize("steps", STEPS)
async def test_who_dies_while_asking_anew_has_ended_the_first_and_asked_once_more(world: World, steps: int) -> None:
    first, again = (asked("anna", timeout=seconds, idempotency_key="k") for seconds in (1, 60))
    await world.open(first)
    await asyncio.sleep(1.01)
    await world.drive(world.opening(again), steps=steps)

    await world.sweep(again)
    standing = await world.open(again)

    assert (standing.state, standing.secret) == ("pending", again.secret)
    frames = [frame["callback_id"] for frame in await world.said("user:anna")]
    assert frames == [first.callback_id] * 2 + [again.callback_id]


@pytest.mark.parametrize("steps", STEPS)
async def test_who_dies_while_taking_a_question_back_leaves_no_trap(world: World, steps: int) -> None:
    for _ in range(asks.MAX_PENDING):
        await world.open(asked("anna"))
    question = asked("anna", "bob", idempotency_key="one too many")
    try:
        await world.drive(world.opening(question), steps=steps)
    except RateLimited:
        assert await world.listed("user:bob") == []
        assert not await world.redis.exists(world.record(question).key)

    await world.sweep(question)
    if await world.redis.exists(world.record(question).key):
        assert await world.dialogs("user:bob", question) == ["shown"]
        assert await world.answer(question, BOB) == "accepted"
    else:
        assert await world.dialogs("user:bob", question) == []


# -- every step may be done twice ----------------------------------------------------------------------


async def test_all_steps_done_twice_come_to_the_same(world: World) -> None:
    question, reply = asked("anna", "role:ops"), world.names.replies("w1")

    await world.drive(world.opening(question, reply), times=2)
    await world.drive(talks.tending(world.names, question.id), times=2)
    done = await world.drive(world.answering(question), times=2)

    assert done is not None and done[0] == "accepted", "the second time it is its own answer that it finds"
    assert await world.dialogs("user:anna", question) == ["shown", "answered"]
    assert await world.dialogs("role:ops", question) == ["shown", "answered"]
    assert await world.listed("user:anna") == []


async def test_everything_may_be_tended_by_everybody_at_once(world: World) -> None:
    question = asked("anna", escalate=[(0.05, ["bob"])])
    await world.drive(world.opening(question), steps=1)
    await asyncio.sleep(0.06)

    await asyncio.gather(*(world.people.tend(question.id) for _ in range(8)))
    await world.sweep(question)

    assert await world.dialogs("user:anna", question) == ["shown"]
    assert await world.dialogs("user:bob", question) == ["shown"]
    standing = await world.standing(question)
    assert (standing.to, standing.widened) == (("user:anna", "user:bob"), 1)


async def test_who_has_asked_waits_though_redis_goes_away_before_it_was_shown(world: World) -> None:
    question = asked("anna")
    opening = world.opening(question)
    opening.send(await world.people._do(next(opening)))

    with pytest.raises(StopIteration) as end:
        opening.throw(Unavailable("redis is away"))
    await world.sweep(question)

    assert end.value.value.state == "pending"
    assert await world.dialogs("user:anna", question) == ["shown"]


# -- what crosses on the way ---------------------------------------------------------------------------


async def test_a_question_that_was_answered_before_it_was_shown_is_closed_after_that(world: World) -> None:
    """Whoever connects in that moment finds it in the list of open questions."""
    question = asked("anna")
    opening = world.opening(question)
    heard = await world.people._do(next(opening))
    await world.answer(question)

    with pytest.raises(StopIteration):
        while True:
            heard = await world.people._do(opening.send(heard))

    assert (await world.dialogs("user:anna", question))[-1] == "answered"
    assert await world.listed("user:anna") == []


async def test_a_question_that_is_shown_while_its_end_is_told_is_closed_after_that(world: World) -> None:
    question = asked("anna")
    opening, answering = world.opening(question), world.answering(question)
    shown = opening.send(await world.people._do(next(opening)))
    ended = answering.send(await world.people._do(next(answering)))
    told = await world.people._do(ended)
    await world.drive(_rest(opening, await world.people._do(shown)))
    assert await world.dialogs("user:anna", question) == ["answered", "shown"]

    await world.drive(_rest(answering, told))

    assert await world.dialogs("user:anna", question) == ["answered", "shown", "answered"]


async def test_nobody_is_asked_any_more_when_it_was_answered_in_that_moment(world: World) -> None:
    question = asked("anna", escalate=[(0.05, ["bob"])])
    await world.open(question)
    await asyncio.sleep(0.06)
    tending = talks.tending(world.names, question.id)
    heard = await world.people._do(next(tending))
    await world.answer(question)

    with pytest.raises(StopIteration):
        while True:
            heard = await world.people._do(tending.send(heard))

    assert await world.dialogs("user:bob", question) == []
    assert await world.listed("user:bob") == []
    assert "escalated" not in await world.audited(question)


async def test_that_it_was_shown_does_not_put_off_the_telling_of_its_end(world: World) -> None:
    question = asked("anna")
    opening = world.opening(question)
    heard = await world.people._do(next(opening))
    await world.drive(world.answering(question), steps=1)
    await world.drive(_rest(opening, heard), steps=2)

    due = await world.due(question)
    assert due is not None and due < await world.now() + 1000


def _rest(talk: talks.Talk[Any], heard: talks.Heard) -> talks.Talk[None]:
    while True:
        try:
            step = talk.send(heard)
        except StopIteration:
            return
        heard = yield step


# -- the same key --------------------------------------------------------------------------------------


async def test_an_answer_is_found_by_who_asks_again(world: World) -> None:
    first, again = (asked("anna", idempotency_key="k") for _ in range(2))
    await world.open(first)
    await world.answer(first)

    standing = await world.open(again)

    assert (standing.state, standing.secret, standing.response["feedback"]) == ("answered", first.secret, "go")
    assert await world.listed("user:anna") == []
    assert await world.dialogs("user:anna", first) == ["shown", "answered"]
    kept = await world.redis.pttl(world.record(first).key)
    assert asks.KEPT_MS - 60_000 < kept <= asks.KEPT_MS


async def test_what_was_cancelled_stays_so(world: World) -> None:
    first, again = (asked("anna", idempotency_key="k") for _ in range(2))
    await world.open(first)
    await world.drive(world.closing(first))

    assert (await world.open(again)).state == "cancelled"


async def test_other_people_under_the_same_key_are_a_mistake_and_nobody_answers_for_them(world: World) -> None:
    await world.open(asked("anna", idempotency_key="k"))

    with pytest.raises(Conflict):
        await world.open(asked("bob", idempotency_key="k"))

    assert await world.listed("user:bob") == []
    assert (await world.open(asked("anna", idempotency_key="k"))).to == ("user:anna",)


async def test_many_askers_under_one_key_are_remembered_by_whole_addresses(world: World) -> None:
    replies = [world.names.replies(f"{number:032}") for number in range(60)]
    for reply in replies:
        question = asked("anna", idempotency_key="k")
        standing = await world.open(question, reply)

    waiters = (await world.standing(question)).waiters
    assert set(waiters) < set(replies)
    assert len(waiters) > 20
    assert replies[-1] in waiters
    assert standing.to == ("user:anna",)


async def test_the_limit_is_the_users_and_asking_later_asks(world: World) -> None:
    questions = [asked("anna") for _ in range(asks.MAX_PENDING)]
    for question in questions:
        await world.open(question)
    one_more = asked("anna", "bob", idempotency_key="k", task_id="t")

    with pytest.raises(RateLimited) as refused:
        await world.open(one_more)

    assert refused.value.detail["limit"] == asks.MAX_PENDING
    assert await world.listed("user:bob") == []
    assert await world.listed("task:t") == []
    assert await world.dialogs("user:bob", one_more) == []
    await world.answer(questions[0])
    assert (await world.open(one_more)).state == "pending"
    assert await world.dialogs("user:anna", one_more) == ["shown"]


async def test_whoever_asks_again_is_not_refused_by_its_own_question(world: World) -> None:
    for number in range(asks.MAX_PENDING):
        await world.open(asked("anna", idempotency_key=str(number)))

    assert (await world.open(asked("anna", idempotency_key="7"))).state == "pending"


async def test_what_nobody_could_be_shown_is_asked_anew(world: World) -> None:
    first, again = (asked("anna", idempotency_key="k", require_online=True) for _ in range(2))

    standing = await world.open(first)
    assert (standing.state, standing.ending) == ("undeliverable", "cancelled")
    assert await world.dialogs("user:anna", first) == ["shown", "cancelled"]

    async with world.redis.pubsub() as pubsub:
        await pubsub.subscribe(world.names.pubsub("user:anna"))
        await pubsub.get_message(timeout=1)
        standing = await world.open(again)
    assert (standing.state, standing.secret) == ("pending", again.secret)


async def test_an_answer_that_comes_before_it_is_given_up_counts(world: World) -> None:
    question = asked("anna", require_online=True)
    opening = world.opening(question)
    step = next(opening)
    while not any(call[2][2] == "undeliverable" for call in step.calls):
        step = opening.send(await world.people._do(step))
    await world.answer(question)

    heard = await world.people._do(step)
    with pytest.raises(StopIteration) as end:
        while True:
            heard = await world.people._do(opening.send(heard))

    assert (end.value.value.state, end.value.value.response["proceed"]) == ("answered", True)


# -- the audit trail -----------------------------------------------------------------------------------


async def test_the_trail_says_who_decided_what_and_when(world: World) -> None:
    question = asked("anna", "role:ops", task_id="t-1", feedback="optional")
    async with world.redis.pubsub() as pubsub:
        await pubsub.subscribe(world.names.pubsub("user:anna"))
        await pubsub.get_message(timeout=1)
        await world.open(question)
    await world.answer(question, response=YES)

    trail = await world.audit(question)

    assert [fact["event"] for fact in trail] == ["requested", "delivered", "answered"]
    answered = trail[-1]
    assert (answered["by"], answered["source"], answered["task_id"]) == ("anna", "ws", "t-1")
    assert answered["to"] == "user:anna role:ops"
    assert '"proceed":true' in answered["decision"]
    assert len({fact["payload_sha256"] for fact in trail}) == 1
    assert question.secret not in str(await world.redis.xrange(world.names.audit))


async def test_late_answers_are_written_down_though_not_for_ever(world: World) -> None:
    question = asked("anna", "bob")
    await world.open(question)
    await world.answer(question, BOB)
    written = []
    for _ in range(talks.LATE_AUDITED + 5):
        call = asks.answer(world.record(question), question.secret, ANNA, NO)
        result, standing = await world.settle(call, question)
        assert standing is not None
        assert result == "already_answered"
        standing = standing._replace(asked=question.asked)
        written += talks.late(world.names, standing, ANNA, NO)

    assert len(written) == talks.LATE_AUDITED
    await world.redis.execute_command(*written[0])
    late = (await world.audit(question))[-1]
    assert (late["event"], late["by"], late["source"]) == ("late_answer", "anna", "ws")
    assert '"proceed":false' in late["decision"]


async def test_identical_answers_are_not_late(world: World) -> None:
    question = asked("anna")
    await world.open(question)
    await world.answer(question)

    assert await world.answer(question) == "duplicate"
    assert (await world.standing(question)).late == 0


async def test_an_answer_whose_reply_was_lost_is_its_own_when_it_is_made_again(world: World) -> None:
    question = asked("anna")
    await world.open(question)
    call = asks.answer(world.record(question), question.secret, ANNA, YES)

    first, again = [asks.settled(question.id, await run(world.redis, *call))[0] for _ in range(2)]

    assert (first, again) == ("accepted", "accepted")


async def test_a_late_answer_made_again_stays_late(world: World) -> None:
    question = asked("anna", timeout=1)
    await world.open(question)
    await asyncio.sleep(1.01)
    call = asks.answer(world.record(question), question.secret, ANNA, YES)

    first, again = [asks.settled(question.id, await run(world.redis, *call))[0] for _ in range(2)]

    assert (first, again) == ("expired", "expired")
