"""What replicas count is summed exactly once, whoever dies, is only taken for dead, or comes back (I7)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.redis.connect import open_async
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.statistics import FOLDED_SECONDS, GAUGE, Statistics, Turn, summed
from tests.support.redis import Server

WHO = st.sampled_from(["r1", "r2", "r3"])
FIELDS = ("errors", "connections_opened", "disconnections")


class Fleet(RuleBasedStateMachine):
    """
    Three replicas that count, report, are folded at any time and any number of times, and go on in spite of it.

    The model is what each reported last. What is folded has ended, until its replica says otherwise.
    """

    url = ""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.names = Names(f"t{uuid4().hex[:12]}")
        self.redis = open_async(self.url, self.names)
        self.lane = Lane(self.redis)
        self.statistics = {name: Statistics(self.lane, self.names, name) for name in ("r1", "r2", "r3")}
        self.counted = {name: dict.fromkeys(FIELDS, 0) for name in self.statistics}
        self.told: dict[str, dict[str, int]] = {}
        self.folded: set[str] = set()
        self.lost: set[str] = set()
        self.overseer = ""
        self.has_reported: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.do(self.lane.aclose())
            self.do(self.redis.aclose())
            self.runner.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    # -- what happens ------------------------------------------------------------------------------

    @rule(who=WHO, errors=st.integers(0, 5), opened=st.integers(0, 5))
    def count(self, who: str, errors: int, opened: int) -> None:
        self.counted[who]["errors"] += errors
        self.counted[who]["connections_opened"] += opened

    @rule(who=WHO)
    def close(self, who: str) -> None:
        counted = self.counted[who]
        counted["disconnections"] = min(counted["disconnections"] + 2, counted["connections_opened"])

    @rule(who=WHO)
    def report(self, who: str) -> None:
        turn: Turn = self.do(self.statistics[who].report(self.counted[who]))
        self.overseer = self.overseer or who
        assert turn == (who in self.has_reported and who not in self.told, self.overseer == who)
        self.tell(who)
        self.has_reported.add(who)

    @rule(who=WHO)
    def end(self, who: str) -> None:
        self.do(self.statistics[who].end(self.counted[who]))
        self.tell(who)
        self.has_reported.discard(who)
        self.folded.add(who)
        if self.overseer == who:
            self.overseer = ""

    @rule(by=WHO, dead=WHO)
    def inherit(self, by: str, dead: str) -> None:
        self.do(self.statistics[by].inherit(dead))
        self.lost.add(dead)
        if dead in self.told:
            self.folded.add(dead)

    @rule()
    def forget(self) -> None:
        """Redis comes back with nothing."""
        keys = [*(key for name in self.statistics for key in self.names.stats_of(name)), self.names.stats]
        names = self.names
        self.do(self.redis.delete(*keys, names.stats_known, names.stats_lost, names.stats_turn))
        self.told.clear()
        self.folded.clear()
        self.lost.clear()
        self.overseer = ""

    def tell(self, who: str) -> None:
        self.told[who] = dict(self.counted[who])
        self.folded.discard(who)
        self.lost.discard(who)

    # -- what is true --------------------------------------------------------------------------------

    @invariant()
    def each_is_counted_once(self) -> None:
        if not hasattr(self, "runner"):
            return
        sums = self.do(self.statistics["r1"].sums())
        found = {field: sums.counters.get(field, 0) for field in FIELDS}
        assert found == {field: sum(self.of(who, field) for who in self.told) for field in FIELDS}
        assert set(sums.replicas) == {who for who in self.told if who not in self.folded} | self.lost

    def of(self, who: str, field: str) -> int:
        told = self.told[who]
        ended_with_it = field == "disconnections" and who in self.folded
        return told["connections_opened"] if ended_with_it else told[field]


def test_whatever_happens_every_replica_is_counted_once(redis_url: str) -> None:
    Fleet.url = redis_url
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Fleet,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.fixture
async def lane(redis: Redis) -> Any:
    lane = Lane(redis)
    yield lane
    await lane.aclose()


async def test_only_what_changes_is_written_and_now_and_then_all(lane: Lane, redis: Redis, names: Names) -> None:
    statistics, key = Statistics(lane, names, "r1"), names.stats_of("r1")[0]
    figures = {"messages_sent": 2, "errors": 1, f"{GAUGE}users": 3}
    await statistics.report(figures)
    await redis.hset(key, "errors", 7)

    for _ in range(8):
        await statistics.report({**figures, "messages_sent": 5})

    assert await redis.hmget(key, "errors", "messages_sent") == [b"7", b"5"]
    await statistics.report(figures)
    assert await redis.hmget(key, "errors", "messages_sent") == [b"1", b"2"], "whatever it was that Redis had"


async def test_who_oversees_goes_on_until_it_is_silent(
    lane: Lane, redis: Redis, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_gateway.facts.statistics.TURN_SECONDS", 0.3)
    first, second = Statistics(lane, names, "r1"), Statistics(lane, names, "r2")
    assert (await first.report({"errors": 0})).oversees
    assert await first.record(b"1")
    assert not await second.record(b"2"), "it is not its turn"

    for _ in range(5):
        assert not (await second.report({"errors": 0})).oversees
        assert (await first.report({"errors": 0})).oversees
        await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        while not (await second.report({"errors": 0})).oversees:
            await asyncio.sleep(0.02)

    assert not await first.record(b"3"), "it was taken for dead"
    assert await second.record(b"4")
    assert await first.last_samples(10) == [b"1", b"4"]


async def test_samples_are_found_by_their_time_each_once(lane: Lane, redis: Redis, names: Names) -> None:
    for second in (1, 2, 5, 6):
        await redis.xadd(names.stats_history, {"sample": f"{second}"}, id=f"{second}000-0")

    found = await Statistics(lane, names, "r1").samples_since([0, 1000, 3000, 4000, 5000, 5001, 9000])

    assert found == [b"1", b"5", b"6"]


async def test_what_is_no_figure_of_ours_keeps_nothing_else_from_the_totals(
    lane: Lane, redis: Redis, names: Names
) -> None:
    statistics = Statistics(lane, names, "r1")
    await statistics.report({"errors": 1, "messages_sent": 2})
    forged = {"messages_received": "9" * 40, "a": "-1", "b": "nan", "c": "inf", "d": "", "e": "0x7g", b"\xff": "x"}
    await redis.hset(names.stats_of("r1")[0], mapping=forged)  # type: ignore[arg-type]

    await statistics.inherit("r1")

    assert await redis.hgetall(names.stats) == {b"errors": b"1", b"messages_sent": b"2"}
    assert await redis.zscore(names.stats_known, "r1") is None


async def test_what_is_folded_is_kept_for_a_day(lane: Lane, redis: Redis, names: Names) -> None:
    statistics = Statistics(lane, names, "r1")
    await statistics.report({"errors": 1})

    await statistics.inherit("r1")

    assert [FOLDED_SECONDS - 5 < await redis.ttl(key) <= FOLDED_SECONDS for key in names.stats_of("r1")] == [True] * 2


async def test_after_an_outage_everything_is_reported(names: Names, own_server: Server) -> None:
    redis = open_async(own_server.url, names)
    lane = Lane(redis)
    statistics = Statistics(lane, names, "r1")
    await statistics.report({"errors": 1, "messages_sent": 2})
    own_server.stop()
    with pytest.raises(Unavailable):
        await statistics.report({"errors": 1, "messages_sent": 3})
    own_server.start()

    turn = None
    async with asyncio.timeout(10):
        while turn is None:
            try:
                turn = await statistics.report({"errors": 1, "messages_sent": 3})
            except Unavailable:
                await asyncio.sleep(0.05)

    assert (await statistics.sums()).counters == {"errors": 1, "messages_sent": 3}
    await lane.aclose()
    await redis.aclose()


def test_what_nobody_of_ours_wrote_is_left_out() -> None:
    sums = summed(
        [1000, [b"errors", b"x", b"\xff", b"1"], [b"r1", 3000, [b"errors", b"2", b"@n", b"y"], [b"errors", b""]]]
    )

    assert sums.counters == {"errors": 2}
    assert (sums.replicas["r1"].is_alive, sums.replicas["r1"].lease_ms, sums.replicas["r1"].gauges) == (True, 2000, {})
