"""Seats: the limit of a user holds over all replicas, and whoever leaves is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fairlead.errors import Unavailable
from tests.gateway.facts.shared import LIMIT, Fact, replicas
from tests.gateway.patience import until_asked
from tests.support.redis import Server


@pytest.fixture
async def pair(redis_url: str, prefix: str) -> AsyncIterator[list[Fact]]:
    async with replicas(redis_url, prefix, "r1", "r2") as facts:
        yield facts


def ignored(session: str) -> None:
    """What a test does not look at."""


async def test_of_fifty_who_race_over_two_replicas_exactly_the_limit_gets_in(pair: list[Fact]) -> None:
    admissions = await asyncio.gather(*(pair[n % 2].admit(f"c{n}") for n in range(50)))

    admitted = {f"c{n}" for n, admission in enumerate(admissions) if admission.admitted}
    assert len(admitted) == LIMIT
    assert await pair[0].seats_of("42") == admitted
    assert sorted(admission.seats_before for admission in admissions if admission.admitted) == list(range(LIMIT))


async def test_exactly_one_of_those_who_race_is_the_users_first(pair: list[Fact]) -> None:
    admissions = await asyncio.gather(*(pair[n % 2].admit(f"c{n}") for n in range(LIMIT)))

    assert [admission.seats_before for admission in admissions].count(0) == 1


async def test_who_is_refused_holds_nothing(pair: list[Fact]) -> None:
    for n in range(LIMIT):
        await pair[0].admit(f"c{n}")

    refused = await pair[1].admit("late", channels=("session:s1",))

    assert (refused.admitted, refused.seats_before) == (False, LIMIT)
    assert not await pair[1].is_here("session:s1", "late")
    await until_asked(lambda: nothing_held(pair[1]), what="the refused one is written down nowhere")


async def nothing_held(fact: Fact) -> bool:
    return await fact.redis.hlen(fact.names.replica_conns(fact.replica)) == 0


async def test_evicting_makes_room_by_taking_the_oldest_whatever_replica_it_is_on(pair: list[Fact]) -> None:
    for n in range(LIMIT):
        await pair[n % 2].admit(f"c{n}")
        await asyncio.sleep(0.002)

    admission = await pair[1].admit("new", policy="evict")

    assert (admission.admitted, admission.evicted) == (True, ["c0"])
    assert await pair[0].seats_of("42") == {"c1", "c2", "c3", "c4", "new"}


async def test_a_lowered_limit_evicts_as_many_as_are_too_many(pair: list[Fact]) -> None:
    for n in range(LIMIT):
        await pair[0].admit(f"c{n}")
        await asyncio.sleep(0.002)

    admission = await pair[0].admit("new", limit=2, policy="evict")

    assert admission.evicted == ["c0", "c1", "c2", "c3"]
    assert await pair[0].seats_of("42") == {"c4", "new"}


async def test_single_leaves_nobody_but_the_newest(pair: list[Fact]) -> None:
    for n in range(3):
        await pair[n % 2].admit(f"c{n}")

    admission = await pair[0].admit("new", policy="single")

    assert sorted(admission.evicted) == ["c0", "c1", "c2"]
    assert await pair[0].seats_of("42") == {"new"}


async def test_racing_singles_leave_exactly_one(pair: list[Fact]) -> None:
    await asyncio.gather(*(pair[n % 2].admit(f"c{n}", policy="single") for n in range(20)))

    assert len(await pair[0].seats_of("42")) == 1


async def test_asking_twice_for_the_same_connection_takes_one_seat(pair: list[Fact]) -> None:
    await pair[0].admit("c0")

    again = await pair[0].admit("c0", limit=1)

    assert (again.admitted, again.evicted) == (True, [])
    assert await pair[0].seats_of("42") == {"c0"}


async def test_a_released_seat_is_free_for_the_next_and_says_how_many_are_left(pair: list[Fact]) -> None:
    for n in range(LIMIT):
        await pair[0].admit(f"c{n}")

    left = await pair[0].release("c3")
    admission = await pair[1].admit("next")

    assert left == LIMIT - 1
    assert admission.admitted


async def test_the_last_to_leave_takes_the_user_offline_and_leaving_twice_changes_nothing(pair: list[Fact]) -> None:
    await pair[0].admit("c0", channels=("session:s1",))
    await everything_written(pair)
    assert await pair[0].is_online("42")

    first = await pair[0].seats.release("c0", "42", ("session:s1",))
    second = await pair[0].seats.release("c0", "42", ("session:s1",))

    assert (first, second) == (0, None)
    assert not await pair[0].is_online("42")
    assert not await pair[0].is_here("session:s1", "c0")


async def test_who_is_in_a_channel_is_seen_from_every_replica(pair: list[Fact]) -> None:
    for fact in pair:
        fact.live()
    await until_asked(lambda: both_alive(pair))
    await pair[0].admit("c0", "42", ("session:s1",))
    await pair[1].admit("c1", "43", ("session:s1", "instance:i"))
    await everything_written(pair)

    for fact in pair:
        members = await fact.seats.who_is_in("session:s1")
        assert [(m.connection_id, m.user_id, m.replica) for m in members] == [("c0", "42", "r1"), ("c1", "43", "r2")]
    assert [m.connection_id for m in await pair[0].seats.who_is_in("instance:i")] == ["c1"]


async def everything_written(facts: list[Fact]) -> None:
    """What an admission writes for others to see is on its way when it returns; now it is there."""
    await asyncio.gather(*(fact.lane.call("PING") for fact in facts))


async def both_alive(pair: list[Fact]) -> bool:
    return await pair[0].redis.zcard(pair[0].names.replicas) == len(pair)


async def test_who_is_on_a_replica_that_died_is_hidden_before_anybody_has_swept(pair: list[Fact]) -> None:
    pair[0].live()
    await until_asked(lambda: pair[0].redis.zcard(pair[0].names.replicas))
    await pair[0].admit("c0", "42", ("session:s1",))
    await pair[1].admit("c1", "43", ("session:s1",))
    await everything_written(pair)

    members = await pair[0].seats.who_is_in("session:s1")

    assert [member.connection_id for member in members] == ["c0"]


async def test_joining_and_leaving_a_channel_shows_and_hides_the_connection(pair: list[Fact]) -> None:
    fact = pair[0]
    await fact.admit("c0")

    await fact.seats.join("c0", "42", ["session:s1", "topic:t"], ["session:s1", "topic:t"]).arrived()
    joined = await fact.is_here("session:s1", "c0"), await fact.is_here("topic:t", "c0")
    fact.seats.leave("c0", "42", ["session:s1"], ["topic:t"], told=ignored)
    await fact.lane.call("PING")

    assert joined == (True, True)
    assert (await fact.is_here("session:s1", "c0"), await fact.is_here("topic:t", "c0")) == (False, True)


async def test_what_could_not_be_released_is_owed_and_paid_when_redis_is_back(prefix: str) -> None:
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        async with replicas(server.url, prefix, "r1") as (fact,):
            await fact.admit("c0", channels=("session:s1",))
            await fact.admit("c1")
            server.stop()
            with pytest.raises(Unavailable):
                await fact.release("c0")
            server.start()
            assert await fact.seats_of("42") == {"c0", "c1"}

            await fact.seats.settle_debts()

            assert await fact.seats_of("42") == {"c1"}
            assert not await fact.is_here("session:s1", "c0")
            held = await fact.redis.hkeys(fact.names.replica_conns("r1"))
            assert held == [b"c1"]


async def test_debts_that_cannot_be_paid_yet_stay(own_server: Server, prefix: str) -> None:
    async with replicas(own_server.url, prefix, "r1") as (fact,):
        await fact.admit("c0")
        own_server.stop()
        with pytest.raises(Unavailable):
            await fact.release("c0")

        await fact.seats.settle_debts()
        own_server.start()
        await fact.seats.admit("c0", "42", "", (), limit=LIMIT, policy="keep")
        await fact.seats.settle_debts()

        assert await fact.seats_of("42") == set()


async def test_who_left_a_channel_while_redis_was_away_is_hidden_when_it_is_back(prefix: str) -> None:
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        async with replicas(server.url, prefix, "r1") as (fact,):
            await fact.admit("c0")
            await fact.seats.join("c0", "42", ["session:s1", "session:s2"], ["session:s1", "session:s2"]).arrived()
            server.stop()
            fact.seats.leave("c0", "42", ["session:s1", "session:s2"], [], told=ignored)
            with pytest.raises(Unavailable):
                await fact.lane.call("PING")

            server.start()
            await fact.seats.join("c0", "42", ["session:s2"], ["session:s2"]).arrived()
            await fact.seats.settle_debts()
            await fact.lane.call("PING")

            assert not await fact.is_here("session:s1", "c0")
            assert await fact.is_here("session:s2", "c0")
