"""The record of a question and the scripts that move it: one outcome, whatever comes in whatever order (ASK-3)."""

from __future__ import annotations

import time
from typing import Any, Literal
from uuid import uuid4

import pytest
import redis as sync_redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.questions import asks
from fairlead.questions.asks import Standing, ended, settled
from fairlead.questions.question import Question
from fairlead.questions.response import Responder, Response
from fairlead.redis.calls import Call, run_sync
from fairlead.redis.connect import open_sync
from tests.shared.questions.asked import ANNA, BOB, NO, YES, asked

KEY = "the only one"
EVE = Responder("eve", "guest")


class Scripts(RuleBasedStateMachine):
    """
    One key, asked, answered, cancelled, looked at and tended by many who know it from whatever time before.

    The model knows for each time that it was asked (its secret) what everybody was told first.
    """

    url = ""
    standings: Bundle[Standing] = Bundle("standings")

    @initialize()
    def begin(self) -> None:
        self.names = Names(f"t{uuid4().hex[:12]}")
        self.redis = open_sync(self.url, self.names)
        self.record = asks.record(self.names, asked("anna", idempotency_key=KEY).id)
        self.ended: dict[str, tuple[str, dict[str, Any]]] = {}
        self.accepted: dict[str, int] = {}
        self.gone: set[str] = set()
        self.is_plain: dict[str, bool] = {}

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.redis.close()

    def run(self, call: Call) -> Any:
        return run_sync(self.redis, *call)

    def settle(self, call: Call) -> tuple[str, Standing | None]:
        result, standing = settled(self.record.id, self.run(call))
        if standing is not None:
            self.see(standing)
        return result, standing

    def see(self, standing: Standing) -> None:
        """Whoever looks is told the same."""
        if standing.state != "pending":
            first = self.ended.setdefault(standing.secret, (standing.state, standing.response))
            assert (standing.state, standing.response) == first
            assert standing.state != "timed_out" or standing.now >= standing.deadline
        else:
            assert standing.secret not in self.ended, "it was over"
            assert standing.secret not in self.gone, "it was taken back"

    # -- what people do --------------------------------------------------------------------------

    @rule(
        target=standings,
        timeout=st.sampled_from([0.005, 0.02, 60.0]),
        reply=st.sampled_from(["", "w1", "w2"]),
        feedback=st.sampled_from(["optional", "required"]),
    )
    def ask(self, timeout: float, reply: str, feedback: str) -> Standing:
        question: Question = asked("anna", "role:ops", idempotency_key=KEY, feedback=feedback)
        question = question._replace(timeout_ms=int(timeout * 1000))
        self.is_plain[question.secret] = feedback == "optional"
        standing = asks.standing(self.record.id, self.run(asks.ask(self.record, question, reply)))
        self.see(standing)
        if standing.secret == question.secret:
            assert standing.state == "pending" and not standing.said and not standing.told
        return standing

    @rule(
        of=standings,
        by=st.sampled_from([ANNA, Responder("otto", "ops"), BOB, EVE]),
        response=st.sampled_from([YES, NO, Response(True, "other")]),
    )
    def answer(self, of: Standing, by: Responder, response: Response) -> None:
        result, standing = self.settle(asks.answer(self.record, of.secret, by, response))
        if result == "accepted":
            assert standing is not None
            self.accepted[of.secret] = self.accepted.get(of.secret, 0) + 1
            assert not set(by.channels).isdisjoint(standing.to)
            assert (standing.secret, standing.response["by"]) == (of.secret, by.user_id)
            assert standing.now < standing.deadline
        elif result == "duplicate":
            assert standing is not None and standing.response["by"] == by.user_id
            assert standing.response["proceed"] == response.proceed
        elif by is EVE:
            assert result in ("forbidden", "unknown")

    @rule(of=standings, by=st.sampled_from([ANNA, BOB, EVE]), response=st.sampled_from([YES, None]))
    def answer_unseen(self, of: Standing, by: Responder, response: Response | None) -> None:
        result, standing = self.settle(asks.answer(self.record, of.secret, by, response, checked=False))
        if result == "accepted":
            assert standing is not None and response is not None and self.is_plain[of.secret]
            self.accepted[of.secret] = self.accepted.get(of.secret, 0) + 1
        elif result == "unchecked":
            assert standing is not None and standing.asked
            assert response is None or not self.is_plain[of.secret]

    @rule(of=standings, secretly=st.booleans())
    def cancel(self, of: Standing, secretly: bool) -> None:
        result, standing = self.settle(asks.cancel(self.record, of.secret if secretly else ""))
        if result == "accepted":
            assert standing is not None and standing.state == "cancelled"

    @rule(of=standings)
    def give_up(self, of: Standing) -> None:
        self.settle(asks.give_up(self.record, of.secret))

    @rule()
    def look(self) -> None:
        self.settle(asks.look(self.record))

    @rule(target=standings, of=standings)
    def look_wholly(self, of: Standing) -> Standing:
        _, standing = self.settle(asks.look(self.record, wholly=True))
        # Something in any case: what is drawn must not depend on the clock of Redis.
        return of if standing is None else standing

    @rule(of=standings, what=st.sampled_from(["said", "told", "widened", "withdrawn"]), due=st.booleans())
    def progress(self, of: Standing, what: Literal["said", "told", "widened", "withdrawn"], due: bool) -> None:
        if what == "told" and of.state == "pending":
            return
        more = ("user:bob",) if "user:bob" not in of.to else ()
        call = asks.progress(self.record, of, what, more=more, due=of.now if due else None)
        done = asks.progressed(self.run(call)).written
        if done and what == "withdrawn":
            assert of.secret not in self.ended
            self.gone.add(of.secret)

    @rule(channel=st.sampled_from(["user:anna", "role:ops", "task:t"]))
    def enlist(self, channel: str) -> None:
        assert self.run(asks.enlist(self.names, channel, self.record.id, 1000)) == 1

    @rule()
    def wait(self) -> None:
        time.sleep(0.006)

    # -- what must hold --------------------------------------------------------------------------

    @rule(of=standings)
    def whoever_waits_hears_what_everybody_does(self, of: Standing) -> None:
        found = ended(of._replace(state="pending"), self.run(asks.look(self.record)))
        if found is None:
            assert of.secret not in self.ended and of.secret not in self.gone
        elif found.state != "forgotten":
            assert found.state == self.ended.setdefault(of.secret, (found.state, found.response))[0]
        else:
            assert of.secret in self.gone or self.ended[of.secret][0] in asks.ASKED_ANEW
            with pytest.raises(Unavailable):
                asks.known(found)

    @invariant()
    def one_answer_at_most_is_accepted(self) -> None:
        assert all(count == 1 for count in getattr(self, "accepted", {}).values())


def test_one_outcome_whatever_comes_in_whatever_order(redis_url: str) -> None:
    Scripts.url = redis_url
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Scripts,
        settings=settings(
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# -- one by one ---------------------------------------------------------------------------------------


@pytest.fixture
def redis_sync(redis_url: str, names: Names) -> Any:
    client = open_sync(redis_url, names)
    yield client
    client.close()


def test_a_list_has_an_end_for_users_and_a_later_one_for_tasks(redis_sync: sync_redis.Redis, names: Names) -> None:
    def enlist(channel: str, id: str) -> int:
        return int(run_sync(redis_sync, *asks.enlist(names, channel, id, 60_000)))

    listed = [enlist("user:anna", str(number)) for number in range(asks.MAX_PENDING + 1)]
    of_task = [enlist("task:t", str(number)) for number in range(asks.MAX_PENDING + 1)]

    assert listed == [1] * asks.MAX_PENDING + [0]
    assert set(of_task) == {1}
    assert enlist("user:anna", "7") == 1, "what is listed already is"
    assert 60_000 < int(redis_sync.pttl(names.asks("user:anna"))) <= 120_000  # type: ignore[arg-type]


def test_everything_is_forgotten_a_day_after(redis_sync: sync_redis.Redis, names: Names) -> None:
    question = asked("anna", timeout=60)
    record = asks.record(names, question.id)
    run_sync(redis_sync, *asks.ask(record, question, ""))
    pending = redis_sync.pttl(record.key)
    run_sync(redis_sync, *asks.cancel(record))
    over = redis_sync.pttl(record.key)

    assert asks.KEPT_MS < pending <= asks.KEPT_MS + 60_000  # type: ignore[operator]
    assert asks.KEPT_MS - 1000 < over <= asks.KEPT_MS  # type: ignore[operator]


def test_a_question_that_redis_lost_and_that_was_asked_anew_has_no_outcome_for_who_waits(
    redis_sync: sync_redis.Redis, names: Names
) -> None:
    """Nobody shall go on as if its time were over."""
    first, other = asked("anna", idempotency_key="k"), asked("anna", idempotency_key="k")
    record = asks.record(names, first.id)
    before = asks.standing(first.id, run_sync(redis_sync, *asks.ask(record, first, "")))
    redis_sync.delete(record.key)
    run_sync(redis_sync, *asks.ask(record, other, ""))

    found = ended(before, run_sync(redis_sync, *asks.look(record)))

    assert found is not None
    with pytest.raises(Unavailable):
        asks.known(found)
