"""When an alert begins and when it is over, whatever is seen in between."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.admin.alerts import (
    CALM,
    CALM_SECONDS,
    RULES,
    SEEN_SECONDS,
    WORSE,
    Depths,
    Limit,
    Seen,
    Watch,
    limits,
    step,
)
from fairlead_gateway.admin.overview import Figures, Overview

BEATS = st.lists(st.floats(0, 20), min_size=1, max_size=120)
"""Values, one a second."""

THRESHOLD = 10.0


def overview(
    replicas: dict[str, Figures] | None = None,
    lost: tuple[str, ...] = (),
    at: float = 0,
    replaced: tuple[str, ...] = (),
    **rates: float,
) -> Overview:
    """A fleet of *replicas* that live and others that are *lost*."""
    living = replicas or {}
    return Overview(
        at=datetime.fromtimestamp(at, UTC),
        fleet=Figures(),
        replicas={**living, **dict.fromkeys(lost, Figures())},
        alive=frozenset(living) - frozenset(lost),
        lost=frozenset(lost),
        replaced=frozenset(replaced),
        rates=rates,
        percentiles={},
    )


def values(rule: str, seen: Overview, depths: Depths | None = None) -> object:
    (found,) = [one for one in RULES if one.name == rule]
    return found.values(Seen(seen, depths))


def time_of(second: int) -> int:
    return 1_000_000 + second * 1000


def watched(seconds: float, beats: list[float]) -> list[Watch | None]:
    """What is watched after each beat."""
    ids = count()
    history: list[Watch | None] = []
    for second, value in enumerate(beats):
        was = history[-1] if history else None
        history.append(step(was, value, Limit(THRESHOLD, seconds), time_of(second), lambda: str(next(ids))))
    return history


# -- one thing over time ----------------------------------------------------------------------------


@given(BEATS, st.integers(0, 10))
def test_it_fires_exactly_when_the_value_has_been_above_for_long_enough(beats: list[float], seconds: int) -> None:
    history = watched(seconds, beats)

    for at, watch in enumerate(history):
        before = history[at - 1] if at else None
        if watch is not None and watch.is_firing and not (before and before.is_firing):
            assert all(value > THRESHOLD for value in beats[at - seconds : at + 1])
            assert watch.fired == time_of(at) and watch.fired - watch.since == seconds * 1000
        if all(value > THRESHOLD for value in beats[max(0, at - seconds) : at + 1]) and at >= seconds:
            assert watch is not None and watch.is_firing


@given(BEATS, st.integers(0, 10))
def test_it_is_over_exactly_when_the_value_has_been_well_below_for_long_enough(
    beats: list[float], seconds: int
) -> None:
    history = watched(seconds, beats)
    calm = int(max(seconds, CALM_SECONDS))

    for at in range(1, len(history)):
        before, watch = history[at - 1], history[at]
        if before is not None and before.is_firing and watch is None:
            assert all(value <= THRESHOLD * CALM for value in beats[at - calm : at + 1])


@given(BEATS, st.integers(0, 10))
def test_it_keeps_its_id_and_the_worst_of_it_while_it_lasts(beats: list[float], seconds: int) -> None:
    history = watched(seconds, beats)

    for before, watch in pairwise(history):
        if before is not None and watch is not None:
            assert (watch.id, watch.since) == (before.id, before.since)
            assert watch.worst >= before.worst and watch.fired >= before.fired
            assert watch.worst >= watch.value


@given(BEATS, st.integers(0, 10))
def test_its_value_is_of_the_last_seconds_and_its_worst_to_within_a_tenth(beats: list[float], seconds: int) -> None:
    began = 0
    for at, watch in enumerate(history := watched(seconds, beats)):
        if watch is None:
            continue
        began = began if at and history[at - 1] is not None else at
        assert watch.value in beats[max(began, at - int(SEEN_SECONDS)) : at + 1]
        assert watch.worst >= max(beats[began : at + 1]) / WORSE * (1 - 1e-9)


def test_a_value_that_changes_is_written_down_every_few_seconds_only() -> None:
    history = watched(0, [THRESHOLD * 2, *(THRESHOLD * 2 - at / 100 for at in range(60))])

    assert len({watch.value for watch in history if watch is not None}) == 60 / SEEN_SECONDS + 1


@given(st.lists(st.floats(THRESHOLD * CALM, THRESHOLD * 1.2, exclude_min=True), min_size=20, max_size=200))
def test_what_hovers_about_the_threshold_is_one_alert(beats: list[float]) -> None:
    history = watched(0, [THRESHOLD * 2, *beats])

    assert {watch.id for watch in history if watch is not None} == {"0"} and history[-1] is not None


@given(BEATS)
def test_without_a_value_nothing_is_watched_any_more(beats: list[float]) -> None:
    assert step(watched(0, beats)[-1], None, Limit(THRESHOLD, 0), 10**6, str) is None


# -- what is looked at ------------------------------------------------------------------------------


def test_errors_count_by_their_share_unless_they_are_few() -> None:
    assert values("error_rate", overview(errors=5.0, messages_received=50.0)) == {"": 10.0}
    assert values("error_rate", overview(errors=0.1, messages_received=0.1)) == {"": 0.0}
    assert values("error_rate", overview(errors=2.0)) == {"": 100.0}


def test_gauges_are_of_replicas_that_live() -> None:
    figures = Figures(queued_bytes=7, queued_entries=8, silent_seconds=9, is_ready=False)
    seen = overview({"a-1": figures, "b-1": Figures()}, lost=("c-1",))

    assert values("fanout_backlog", seen) == {"a-1": 7, "b-1": 0}
    assert values("streams_owed", seen) == {"a-1": 8, "b-1": 0}
    assert values("receive_silent", seen) == {"a-1": 9, "b-1": 0}
    assert values("not_ready", seen) == {"a-1": 1.0, "b-1": 0.0}


def test_a_replica_is_lost_until_one_of_the_same_name_is_there() -> None:
    assert values("replica_lost", overview({"a-1": Figures()}, lost=("b-x",))) == {"b-x": 1.0}
    assert values("replica_lost", overview({"a-1": Figures(), "b-y": Figures()}, lost=("b-x",))) == {}


def test_a_replica_is_lost_until_another_has_taken_its_place() -> None:
    seen = overview({"a-1": Figures()}, lost=("b-x", "c-x"), replaced=("c-x",))

    assert values("replica_lost", seen) == {"b-x": 1.0}


def test_slow_consumers_are_counted_by_the_minute() -> None:
    assert values("slow_consumers", overview(slow_consumers=0.5)) == {"": 30.0}


def test_what_is_not_known_of_redis_is_not_taken_for_nothing() -> None:
    depths = Depths(1, 2, 3, {"one:6379/0": 95.0})
    rules = ("ingress_backlog", "backends_behind", "questions_open", "redis_memory")

    assert [values(rule, overview(), None) for rule in rules] == [None] * 4
    assert [values(rule, overview(), depths) for rule in rules] == [{"": 1}, {"": 2}, {"": 3}, {"one:6379/0": 95.0}]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.name))
def test_every_rule_has_a_sentence_that_can_be_read(rule: object) -> None:
    sentence = RULES[RULES.index(rule)].sentence.format(subject="r1-abcd", value=12.34, threshold=5.0)  # type: ignore[arg-type]

    assert "{" not in sentence and sentence[0].islower() | sentence[0].isdigit() | sentence.startswith("Redis")


# -- settings ---------------------------------------------------------------------------------------


def test_limits_are_those_of_the_rules_unless_set() -> None:
    default = {rule.name: rule.limit for rule in RULES}

    assert limits(()) == default
    changed = limits(("error_rate=7/3", "slow_consumers=99", " questions_open = off "))
    assert changed["error_rate"] == Limit(7, 3)
    assert changed["slow_consumers"] == Limit(99, default["slow_consumers"].seconds)
    assert "questions_open" not in changed
    assert len(changed) == len(default) - 1


@pytest.mark.parametrize(
    "text", ["nope=1", "error_rate", "error_rate=x", "error_rate=1/x", "error_rate=-1", "=1", "error_rate=nan"]
)
def test_what_is_no_limit_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"rule|error_rate"):
        limits((text,))
