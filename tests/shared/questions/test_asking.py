"""Asking and waiting, by asyncio and by threads; replicas and people are played (ASK-1 to ASK-4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.errors import Conflict, InvalidMessage, NotFound, RateLimited, Unavailable
from fairlead.names import Names
from fairlead.publishing import replies
from fairlead.questions import asks, talks
from fairlead.questions.asks import Standing
from fairlead.questions.confirmation import Asked, UserConfirmation
from fairlead.questions.question import split
from fairlead.questions.response import Responder, Response
from fairlead.questions.shown import closed_message
from fairlead.sync import replies as sync_replies
from tests.shared.questions.asked import ANNA, BOB, NO, YES, World
from tests.support.redis import Server

STEP = {"step": "plan", "message": "Apply?", "status": "completed"}


class Face:
    """A backend, awaited whether it blocks or not."""

    def __init__(self, backend: fairlead.Backend | fairlead.SyncBackend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._backend, name)
        if isinstance(self._backend, fairlead.Backend):
            return method  # type: ignore[no-any-return]
        return lambda *args, **options: asyncio.to_thread(method, *args, **options)


@pytest.fixture(params=["asyncio", "threads"])
async def fl(request: pytest.FixtureRequest, redis_url: str, prefix: str) -> AsyncIterator[Face]:
    if request.param == "asyncio":
        async with fairlead.connect(redis_url, prefix=prefix, name="tests") as backend:
            yield Face(backend)
        return
    with fairlead.connect_sync(redis_url, prefix=prefix, name="tests") as blocking:
        yield Face(blocking)


@pytest.fixture
def blocking(redis_url: str, prefix: str) -> Iterator[fairlead.SyncBackend]:
    with fairlead.connect_sync(redis_url, prefix=prefix, name="tests") as fl:
        yield fl


@pytest.fixture
async def world(redis: Redis, names: Names) -> AsyncIterator[World]:
    world = World(redis, names)
    yield world
    await world.aclose()


async def shown(world: World, channel: str = "user:anna", count: int = 1) -> str:
    """The callback id of the *count*-th question that was shown in *channel*."""
    async with asyncio.timeout(5):
        while True:
            frames = [frame for frame in await world.said(channel) if frame["type"] == "task_step_result"]
            if len(frames) >= count:
                return str(frames[count - 1]["callback_id"])
            await asyncio.sleep(0.005)


async def answer(world: World, callback_id: str, by: Responder = ANNA, response: Response = YES) -> str:
    """Answer as a replica does."""
    id_, secret = split(callback_id)
    call = asks.answer(asks.record(world.names, id_), secret, by, response)
    done = await world.drive(talks.answering(world.names, id_, call))
    assert done is not None
    return done[0]


def going(asking: Any) -> asyncio.Future[UserConfirmation]:
    return asyncio.ensure_future(asking)


async def now(asking: asyncio.Future[Any]) -> Any:
    return await asyncio.wait_for(asking, 30)


# -- answers ------------------------------------------------------------------------------------------


@pytest.fixture
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds until an asker looks by itself, for those that should be told: longer than anything else takes."""
    for module in (replies, sync_replies):
        monkeypatch.setattr(module, "LOOK_SECONDS", 20.0)
    return 20.0


async def test_who_asks_is_told_within_the_moment(fl: Face, world: World, rare_looks: float) -> None:
    asking = going(fl.ask("anna", "Go on?"))
    callback_id = await shown(world)
    await asyncio.sleep(0.05)

    assert await answer(world, callback_id) == "accepted"
    answered_at = time.monotonic()
    confirmation = await now(asking)

    assert time.monotonic() - answered_at < rare_looks / 2, "not at the next look"
    assert (confirmation.proceed, confirmation.feedback, confirmation.by_human) == (True, "go", True)
    assert (confirmation.responded_by, confirmation.source, confirmation.callback_id) == ("anna", "ws", callback_id)
    assert confirmation.responded_at is not None


async def test_an_answer_that_is_quicker_than_the_asker_waits_for_no_look(
    fl: Face, world: World, rare_looks: float
) -> None:
    """It comes while the question is still being shown, before anybody waits."""

    async def quick() -> None:
        await answer(world, await shown(world))

    answering = asyncio.ensure_future(quick())
    began = time.monotonic()
    confirmation = await now(going(fl.ask("anna", "Go on?")))
    await answering

    assert confirmation.by_human
    assert time.monotonic() - began < rare_looks / 2


async def test_nobody_answers(fl: Face, world: World) -> None:
    began = time.monotonic()
    confirmation = await now(going(fl.notify_user(STEP, "anna", "t", 1, timeout=1)))
    took = time.monotonic() - began

    assert (confirmation.proceed, confirmation.status, confirmation.source) == (True, "timed_out", "policy")
    assert (confirmation.by_human, confirmation.responded_by) == (False, None)
    assert 1.0 <= took < 10
    due = await world.redis.zrange(world.record_of(confirmation.callback_id).due, 0, -1, withscores=True)
    assert due[0][1] <= await world.now(), "a replica tells everybody now"


async def test_what_it_comes_to_without_an_answer_is_what_was_said(fl: Face) -> None:
    stop = going(fl.ask("anna", "?", timeout=1, on_timeout="stop"))
    danger = going(fl.ask("anna", "?", timeout=1, severity="danger"))
    with pytest.raises(fairlead.Unanswered):
        await fl.ask("anna", "?", timeout=1, on_timeout="raise")

    assert [(await now(one)).proceed for one in (stop, danger)] == [False, False]
    with pytest.raises(InvalidMessage):
        await fl.ask("anna", "?", severity="danger", on_timeout="proceed")


async def test_several_may_answer_and_the_first_decides(fl: Face, world: World) -> None:
    asking = going(fl.ask(["role:ops", "bob"], "?"))
    callback_id = await shown(world, "role:ops")
    await shown(world, "user:bob")

    results = [await answer(world, callback_id, by) for by in (Responder("eve"), BOB, ANNA, BOB)]

    assert results == ["forbidden", "accepted", "already_answered", "duplicate"]
    assert (await now(asking)).responded_by == "bob"
    for channel in ("role:ops", "user:bob"):
        assert (await world.said(channel))[-1]["by"] == "bob"


async def test_a_form_and_a_choice_come_back(fl: Face, world: World) -> None:
    asking = going(fl.ask("anna", "?", choices=[{"value": "all", "label": "All"}]))
    callback_id = await shown(world)
    await answer(world, callback_id, response=Response(True, None, "all", {"vlan": 7}))

    confirmation = await now(asking)
    assert (confirmation.choice, confirmation.content) == ("all", {"vlan": 7})


# -- the same question --------------------------------------------------------------------------------


async def test_a_step_asked_again_finds_its_answer(fl: Face, world: World) -> None:
    asking = going(fl.notify_user(STEP, "anna", "t", 1))
    await answer(world, await shown(world), response=NO)
    first = await now(asking)
    again = await now(going(fl.notify_user(dict(reversed(STEP.items())), "anna", "t", 1)))

    assert again == first
    assert (again.proceed, again.by_human) == (False, True)
    assert len(await world.said("user:anna")) == 2


async def test_two_who_ask_the_same_hear_the_same(fl: Face, world: World) -> None:
    asking = [going(fl.notify_user(STEP, "anna", "t", 1)) for _ in range(5)]
    callback_id = await shown(world)
    await asyncio.sleep(0.05)
    await answer(world, callback_id)

    heard = [await now(one) for one in asking]
    assert len({confirmation.model_dump_json() for confirmation in heard}) == 1
    assert len([frame for frame in await world.said("user:anna") if frame["type"] == "task_step_result"]) == 1


async def test_another_result_is_asked_anew(fl: Face, world: World) -> None:
    asking = going(fl.notify_user(STEP, "anna", "t", 1))
    await answer(world, await shown(world))
    await now(asking)

    other = going(fl.notify_user({**STEP, "result": 2}, "anna", "t", 1))
    callback_id = await shown(world, count=2)
    await answer(world, callback_id, response=NO)
    assert (await now(other)).proceed is False


async def test_a_time_that_ran_out_is_no_answer_to_who_asks_again(fl: Face, world: World) -> None:
    first = await now(going(fl.ask("anna", "?", idempotency_key="k", timeout=1)))
    again = going(fl.ask("anna", "?", idempotency_key="k", timeout=60))
    callback_id = await shown(world, count=2)
    await answer(world, callback_id, response=NO)
    confirmation = await now(again)

    assert (first.status, confirmation.status, confirmation.proceed) == ("timed_out", "answered", False)
    assert first.callback_id != callback_id
    assert await answer(world, first.callback_id) == "unknown"


async def test_other_people_under_the_same_key(fl: Face, world: World) -> None:
    await fl.begin_ask("anna", "?", idempotency_key="k")

    with pytest.raises(Conflict):
        await fl.begin_ask("bob", "?", idempotency_key="k")


# -- limits -------------------------------------------------------------------------------------------


async def test_fifty_open_questions_are_enough(fl: Face, world: World) -> None:
    opened = [await fl.begin_ask("anna", "?") for _ in range(asks.MAX_PENDING)]
    with pytest.raises(RateLimited):
        await fl.ask("anna", "?", idempotency_key="k")

    assert await fl.cancel_ask(opened[0].callback_id) is True
    asking = going(fl.ask("anna", "?", idempotency_key="k"))
    callback_id = await shown(world, count=asks.MAX_PENDING + 1)
    await answer(world, callback_id)
    assert (await now(asking)).by_human


async def test_nobody_there_to_be_asked(fl: Face, world: World) -> None:
    confirmation = await now(going(fl.ask("anna", "?", require_online=True, idempotency_key="k")))
    begun = await fl.begin_ask("anna", "?", require_online=True)

    assert (confirmation.status, confirmation.proceed, confirmation.by_human) == ("undeliverable", False, False)
    assert begun.status == "undeliverable"
    assert (await fl.answer_to(begun.callback_id)).status == "undeliverable"
    async with world.redis.pubsub() as pubsub:
        await pubsub.subscribe(world.names.pubsub("user:anna"))
        await pubsub.get_message(timeout=1)
        asking = going(fl.ask("anna", "?", require_online=True, idempotency_key="k"))
        await answer(world, await shown(world, count=3))
        assert (await now(asking)).by_human


# -- without waiting ----------------------------------------------------------------------------------


async def test_asked_now_and_looked_up_later(fl: Face, world: World) -> None:
    begun: Asked = await fl.begin_ask("anna", "?", timeout=60)
    assert begun.status == "pending"
    assert await fl.answer_to(begun.callback_id) is None
    assert await fl.answer_to(begun.callback_id, wait_seconds=0.05) is None

    looking = going(fl.answer_to(begun.callback_id, wait_seconds=30))
    await asyncio.sleep(0.05)
    await answer(world, begun.callback_id)

    assert (await now(looking)).responded_by == "anna"
    assert (await fl.answer_to(begun.callback_id)).responded_by == "anna"
    assert await fl.cancel_ask(begun.callback_id) is False


async def test_cancelled(fl: Face, world: World) -> None:
    asking = going(fl.ask("anna", "?"))
    callback_id = await shown(world)

    assert await fl.cancel_ask(callback_id) is True
    confirmation = await now(asking)

    assert (confirmation.status, confirmation.proceed) == ("cancelled", False)
    assert await fl.cancel_ask(callback_id) is False
    assert (await fl.answer_to(callback_id)).status == "cancelled"


async def test_an_answer_in_the_place_of_others_counts_and_says_so(fl: Face, world: World) -> None:
    asked = await fl.begin_ask("anna", "go?")
    id_, secret = split(asked.callback_id)
    stranger = Responder("root", source="dashboard")
    record = asks.record(world.names, id_)

    async def answer(by: Responder) -> str:
        result, _ = await world.drive(talks.answering(world.names, id_, asks.answer(record, secret, by, YES)))  # type: ignore[misc]
        return str(result)

    assert await answer(stranger) == "forbidden"
    assert await answer(stranger._replace(on_behalf=True)) == "accepted"
    outcome = await fl.answer_to(asked.callback_id)

    assert (outcome.responded_by, outcome.source, outcome.on_behalf, outcome.by_human) == (
        "root",
        "dashboard",
        True,
        True,
    )
    assert closed_message(await world.people.standing(id_))["on_behalf"] is True


async def test_how_it_stands_is_known_by_the_id_alone_and_by_the_right_secret(fl: Face, world: World) -> None:
    asked = await fl.begin_ask("anna", "go?")
    id_, secret = split(asked.callback_id)

    assert (await world.people.standing(id_)).state == (await world.people.standing(id_, secret)).state == "pending"
    with pytest.raises(NotFound):
        await world.people.standing(id_, "wrong")
    assert (await world.people.close(id_, "wrong"))[0] == "unknown"
    assert [(await world.people.close(id_))[0] for _ in range(2)] == ["accepted", "cancelled"]
    assert (await world.people.standing(id_, secret, 5)).state == "cancelled"


@pytest.mark.parametrize("callback_id", ["", "x", "a" * 32, "a" * 32 + ".", "a" * 32 + ".b", "\ud800" * 40, "../../x"])
async def test_what_was_never_asked_is_not_found(fl: Face, callback_id: str) -> None:
    with pytest.raises(NotFound):
        await fl.answer_to(callback_id)
    assert await fl.cancel_ask(callback_id) is False


async def test_who_knows_the_id_but_not_the_secret_knows_nothing(fl: Face) -> None:
    begun = await fl.begin_ask("anna", "?")
    id_, _ = split(begun.callback_id)

    with pytest.raises(NotFound):
        await fl.answer_to(f"{id_}.guessed")
    assert await fl.cancel_ask(f"{id_}.guessed") is False
    assert await fl.answer_to(begun.callback_id) is None


# -- askers that give up ------------------------------------------------------------------------------


async def test_an_asker_that_is_cancelled_leaves_the_question_open(world: World, redis_url: str, prefix: str) -> None:
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        asking = going(fl.ask("anna", "?", idempotency_key="k"))
        callback_id = await shown(world)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

        assert await answer(world, callback_id) == "accepted"
        assert (await now(going(fl.ask("anna", "?", idempotency_key="k")))).feedback == "go"


async def test_an_asker_that_is_closed_is_told_so_and_leaves_it_open(world: World, redis_url: str, prefix: str) -> None:
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        asking = going(fl.ask("anna", "?"))
        callback_id = await shown(world)
        await asyncio.sleep(0.05)
    with pytest.raises(Unavailable):
        await now(asking)

    assert await answer(world, callback_id) == "accepted"


# -- many ---------------------------------------------------------------------------------------------


async def test_a_thousand_wait_at_once_and_each_hears_its_own(world: World, redis_url: str, prefix: str) -> None:
    count = 1000
    async with fairlead.connect(redis_url, prefix=prefix, timeout_seconds=20) as fl:
        asking = [going(fl.ask(f"u{number}", "?", timeout=120)) for number in range(count)]
        for number in range(count):
            callback_id = await shown(world, f"user:u{number}")
            await answer(world, callback_id, Responder(f"u{number}"), Response(number % 2 == 0, str(number)))
        heard = await asyncio.wait_for(asyncio.gather(*asking), 20)

    assert [one.feedback for one in heard] == [str(number) for number in range(count)]
    assert [one.proceed for one in heard] == [number % 2 == 0 for number in range(count)]


async def test_threads_wait_side_by_side(world: World, blocking: fairlead.SyncBackend) -> None:
    def ask(number: int) -> UserConfirmation:
        return blocking.ask(f"u{number}", "?", timeout=30)

    many = 60
    with ThreadPoolExecutor(many) as pool:
        futures = [pool.submit(ask, number) for number in range(many)]
        callback_ids = [await shown(world, f"user:u{number}") for number in range(many)]
        sent = await asyncio.wait_for(asyncio.to_thread(blocking.send_to_user, "anna", {"type": "x"}), 2)
        for number in reversed(range(many)):
            await answer(world, callback_ids[number], Responder(f"u{number}"), Response(True, str(number)))
        heard = [await asyncio.wrap_future(future) for future in futures]

    assert [one.feedback for one in heard] == [str(number) for number in range(many)]
    assert sent.offset == 1, "none of those who wait has a connection of the pool"


# -- redis comes and goes -----------------------------------------------------------------------------


@pytest.mark.parametrize("face", ["asyncio", "threads"])
async def test_redis_loses_everything_and_nobody_is_told_an_outcome(
    face: str, own_server: Server, names: Names
) -> None:
    async with fairlead.connect(own_server.url, prefix=names.prefix) as backend:
        with fairlead.connect_sync(own_server.url, prefix=names.prefix) as blocking:
            fl = Face(backend if face == "asyncio" else blocking)
            asking = going(fl.ask("anna", "?", timeout=3))
            async with asyncio.timeout(5):
                while await backend._shards.ask(("ZCARD", names.asks("user:anna"))) != [1]:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            own_server.restart()

            with pytest.raises(Unavailable) as told:
                await asyncio.wait_for(asking, 6)
    assert "ask again" in told.value.message


@pytest.mark.parametrize("face", ["asyncio", "threads"])
async def test_redis_stays_away_and_the_asker_is_told_that(face: str, own_server: Server, names: Names) -> None:
    async with fairlead.connect(own_server.url, prefix=names.prefix, timeout_seconds=1) as backend:
        with fairlead.connect_sync(own_server.url, prefix=names.prefix, timeout_seconds=1) as blocking:
            fl = Face(backend if face == "asyncio" else blocking)
            begun = await fl.begin_ask("anna", "?", timeout=1)
            asking = going(fl.answer_to(begun.callback_id, wait_seconds=60))
            await asyncio.sleep(0.1)
            own_server.stop()

            with pytest.raises(Unavailable):
                await asyncio.wait_for(asking, 8)
            with pytest.raises(Unavailable):
                await fl.ask("anna", "?")


def test_a_waiter_is_not_told_of_the_next_question_under_its_key(names: Names) -> None:
    standing = Standing("x", "pending", "s1", {}, ("user:anna",), {}, 0, 10, True, False, 0, (), 0, 0, (), 5)
    facts = [b"answered", b"s2", b"", b"user:anna", b"{}", 20, 30, b"1", b"1", b"0", b"", 25, 0, b"s1 timed_out", 26]

    found = asks.ended(standing, [b"already_answered", *facts])

    assert found is not None
    assert (found.state, found.response) == ("timed_out", {})
