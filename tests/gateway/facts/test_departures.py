"""Who leaves has left when the grace is over, once, whoever looks; who comes back in time never left."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.format.envelope import unseal
from fairlead.names import Names, partition_of
from fairlead_gateway.facts import departures as module
from fairlead_gateway.facts.departures import Departure, departure_of
from tests.gateway.facts.shared import Fact, replicas
from tests.gateway.patience import until, until_asked

GRACE = 0.3
SESSIONS = ("session:s1", "session:s2")


@pytest.fixture
async def pair(redis_url: str, prefix: str) -> AsyncIterator[list[Fact]]:
    async with replicas(redis_url, prefix, "r1", "r2", grace_seconds=GRACE) as facts:
        yield facts


async def looked(facts: list[Fact], count: int, seconds: float = 5.0) -> list[tuple[str, Departure]]:
    """What all of them have been given to tell, once that is *count*, and nothing is left to be looked at."""

    async def all_told() -> bool:
        await asyncio.gather(*(fact.departures.look() for fact in facts))
        return sum(len(fact.told) for fact in facts) >= count and not await due_now(facts[0])

    await until_asked(all_told, seconds, f"{count} departures")
    return [told for fact in facts for told in fact.told]


async def due_now(fact: Fact) -> bool:
    """Whether a departure waits to be told, or is being told."""
    counts = [await fact.redis.zcard(fact.names.departures(partition)[0]) for partition in range(128)]
    return any(counts)


async def whole(admission_shown: dict[str, asyncio.Future[int]]) -> dict[str, int]:
    return {session: await answer for session, answer in admission_shown.items()}


async def test_a_user_arrives_once_and_departs_once_when_the_grace_is_over(pair: list[Fact]) -> None:
    first = await pair[0].admit("c0", channels=SESSIONS[:1])
    second = await pair[1].admit("c1", channels=SESSIONS)
    came = [await whole(dict(admission.shown)) for admission in (first, second)]
    await pair[0].release("c0")
    await pair[1].release("c1")
    await asyncio.gather(*(fact.departures.look() for fact in pair))
    early = [list(fact.told) for fact in pair]

    told = await looked(pair, 3)

    assert (first.arrived, second.arrived) == (True, False)
    assert came == [{"session:s1": 1}, {"session:s1": 0, "session:s2": 1}]
    assert early == [[], []]
    assert sorted((kind, one.session) for kind, one in told) == [
        ("session", SESSIONS[0]),
        ("session", SESSIONS[1]),
        ("user", ""),
    ]
    assert {one.user_id for _, one in told} == {"42"}
    assert {one.connection_id for _, one in told} == {"c1"}
    assert {one.sessions for _, one in told} == {SESSIONS}


async def test_who_comes_back_within_the_grace_never_left_nor_arrives_again(pair: list[Fact]) -> None:
    await pair[0].admit("c0", channels=SESSIONS[:1])
    await pair[0].release("c0")

    back = await pair[1].admit("c1", channels=SESSIONS[:1])
    shown = await whole(dict(back.shown))
    await asyncio.sleep(GRACE)
    await asyncio.gather(*(fact.departures.look() for fact in pair))

    assert (back.arrived, shown) == (False, {"session:s1": 0})
    assert [fact.told for fact in pair] == [[], []]
    assert not await due_now(pair[0])


async def test_who_comes_back_only_to_another_session_has_left_the_first(pair: list[Fact]) -> None:
    await pair[0].admit("c0", channels=SESSIONS[:1])
    await pair[0].release("c0")
    await pair[1].admit("c1", channels=SESSIONS[1:])

    told = await looked(pair, 1)

    assert [(kind, one.session) for kind, one in told] == [("session", "session:s1")]


async def test_who_comes_back_after_the_grace_arrives_anew(pair: list[Fact]) -> None:
    await pair[0].admit("c0", channels=SESSIONS[:1])
    await pair[0].release("c0")
    await looked(pair, 2)

    again = await pair[1].admit("c1", channels=SESSIONS[:1])

    assert again.arrived
    assert await whole(dict(again.shown)) == {"session:s1": 1}


async def test_of_many_who_leave_each_departure_is_told_once_however_many_look(redis_url: str, prefix: str) -> None:
    async with replicas(redis_url, prefix, "r1", "r2", "r3", "r4", grace_seconds=GRACE) as facts:
        await asyncio.gather(*(facts[n % 4].admit(f"c{n}", f"u{n}", SESSIONS[:1]) for n in range(1000)))
        await asyncio.gather(*(facts[n % 4].release(f"c{n}") for n in range(1000)))

        told = await looked(facts, 2000, 20)

    assert len(told) == 2000
    assert Counter((kind, one.user_id) for kind, one in told).most_common(1)[0][1] == 1


async def test_leaving_a_session_is_told_at_once_unless_another_connection_of_the_user_stays(
    pair: list[Fact], names: Names
) -> None:
    await pair[0].admit("c0", channels=SESSIONS[:1])
    await pair[1].admit("c1", channels=SESSIONS[:1])
    told: list[str] = []
    async with pair[0].redis.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub("session:s1"))
        assert await pubsub.get_message(timeout=5)

        pair[0].seats.leave("c0", "42", SESSIONS[:1], (), told.append)
        await pair[0].lane.call("PING")
        while_one_stays = list(told)
        pair[1].seats.leave("c1", "42", SESSIONS[:1], (), told.append)
        await until(lambda: told, what="the last one has left")
        message = await pubsub.get_message(timeout=5)

    assert while_one_stays == []
    assert told == ["session:s1"]
    assert message is not None
    news = json.loads(unseal(message["data"]).envelope.frame)
    facts = (news["type"], news["user_id"], news["connection_id"], news["session_id"])
    assert facts == ("session_left", "42", "c1", "s1")
    await asyncio.sleep(GRACE)
    await pair[0].departures.look()
    assert pair[0].told == []


async def test_a_departure_that_could_not_be_said_is_said_later(
    pair: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAY_MS", 200)
    tries: list[str] = []

    async def fails(departure: Departure) -> None:
        tries.append(departure.user_id)
        raise Unavailable("redis is away")

    monkeypatch.setattr(pair[0], "user_left", fails)
    await pair[0].admit("c0")
    await pair[0].release("c0")

    async def tried() -> bool:
        try:
            await pair[0].departures.look()
        except Unavailable:
            return True
        return False

    await until_asked(tried, what="one has tried and failed")
    told = await looked(pair[1:], 1)

    assert tries == ["42"]
    assert [(kind, one.user_id, one.is_late) for kind, one in told] == [("user", "42", True)]


async def test_what_is_said_late_is_not_said_of_somebody_who_is_there_again(
    pair: list[Fact], redis: Redis, names: Names
) -> None:
    departures, facts = names.departures(partition_of("user:42"))
    await redis.zadd(departures, {"!user:42": 1})
    await redis.hset(facts, "!user:42", '1 {"connection_id":"c","sessions":[]}')
    await redis.zadd(names.reminders, {str(partition_of("user:42")): 1})
    back = await pair[0].admit("c0")

    await pair[0].departures.look()

    assert back.arrived, "its departure was about to be said"
    assert pair[0].told == []
    assert not await redis.exists(departures, facts)


async def test_somebody_who_comes_back_while_it_is_said_has_the_last_word(
    pair: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(departure: Departure) -> None:
        assert (await pair[1].admit("c1")).arrived
        pair[0].told.append(("user", departure))

    monkeypatch.setattr(pair[0], "user_left", slowly)
    await pair[0].admit("c0")
    await pair[0].release("c0")

    told = await looked(pair[:1], 2)

    assert [kind for kind, _ in told] == ["user", "back"]


async def test_what_nobody_of_ours_wrote_is_removed_and_stops_nobody(
    pair: list[Fact], redis: Redis, names: Names
) -> None:
    departures, facts = names.departures(3)
    await redis.zadd(departures, {"nonsense": 1, b"\xff\xfe": 1, "user:": 1, "session:s1": 1, "user:7": 1})
    await redis.hset(facts, "user:7", "neither time nor json")
    await redis.zadd(names.reminders, {"3": 1})

    await pair[0].departures.look()

    assert [(kind, one.user_id, one.left_at) for kind, one in pair[0].told] == [("user", "7", 1.0)]
    assert not await redis.exists(departures, facts)


async def test_nothing_is_looked_at_when_nobody_leaves(pair: list[Fact], redis: Redis, names: Names) -> None:
    await pair[0].admit("c0")
    await pair[0].release("c0")
    await looked(pair, 1)
    await pair[0].departures.look()

    async def nothing_to_look_at() -> bool:
        await pair[0].departures.look()
        return not await redis.exists(names.reminders)

    await until_asked(nothing_to_look_at)


async def test_it_is_remembered_when_a_user_was_last_seen(pair: list[Fact], redis: Redis, names: Names) -> None:
    seconds, micros = await redis.time()
    for connection in ("c0", "c1"):
        await pair[0].admit(connection)
    await pair[0].release("c0")
    key = names.last_seen(partition_of("user:42"))
    while_online = await redis.zscore(key, "42")
    await pair[0].release("c1")

    seen = await redis.zscore(key, "42")

    assert while_online is None
    assert 0 <= seen - (seconds * 1000 + micros / 1000) + 1 < 5000
    assert 2_591_990 < await redis.ttl(key) <= 2_592_000


def test_a_departure_reads_as_it_was_written() -> None:
    facts = b'1700000000000 {"connection_id":"c0","sessions":["session:s1"]}'

    assert departure_of(b"user:a:b@c", b"1700000010000", facts) == Departure(
        "user:a:b@c", "1700000010000", "a:b@c", "", "c0", ("session:s1",), 1_700_000_000_000
    )
    session = departure_of(b"session:x:y 42", b"7", b"")
    assert session == Departure("session:x:y 42", "7", "42", "session:x:y", "", (), 7.0)


async def test_a_session_of_two_thousand_who_all_come_back_after_a_crash_is_told_nothing(
    redis_url: str, prefix: str
) -> None:
    members = [f"u{n}" for n in range(2000)]
    async with replicas(redis_url, prefix, "dead", "r2", grace_seconds=GRACE) as (dead, heir):
        came = await asyncio.gather(*(dead.admit(f"a-{user}", user, SESSIONS[:1]) for user in members))
        assert sum([await admission.shown[SESSIONS[0]] for admission in came]) == 2000

        back = await asyncio.gather(*(heir.admit(f"b-{user}", user, SESSIONS[:1]) for user in members))
        again = [await admission.shown[SESSIONS[0]] for admission in back]
        await asyncio.gather(*(heir.seats.release(f"a-{user}", user, SESSIONS[:1]) for user in members))
        await asyncio.sleep(GRACE * 1.5)
        await heir.departures.look()

        assert not any(admission.arrived for admission in back)
        assert sum(again) == 0
        assert heir.told == []
        assert await heir.redis.hlen(heir.names.people(SESSIONS[0])) == 2000
