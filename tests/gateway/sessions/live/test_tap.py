"""What a tap lets through: of what is wanted, so much a second, and the rest counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.sessions.frames import Wanted
from fairlead_gateway.sessions.live.tap import REMEMBERED, Choice, Gate, Tap

RATES = st.integers(1, 100)
GAPS = st.lists(st.floats(0, 2), max_size=300)


def tap(**wanted: object) -> Tap:
    return Tap("t", Wanted.model_validate(wanted), content=False, to="replica:r", until=1.0)


@given(RATES, GAPS)
def test_no_second_lets_more_pass_than_two_seconds_worth_and_on_average_it_is_the_rate(
    rate: int, gaps: list[float]
) -> None:
    gate, now, passed = Gate(rate), 100.0, []
    for gap in gaps:
        now += gap
        if gate.admits(now):
            passed.append(now)

    for start in passed:
        assert sum(start <= moment < start + 1 for moment in passed) <= 2 * rate
    assert len(passed) <= rate * (now - 100.0 + 1) + 1


@given(RATES)
def test_after_a_quiet_second_a_second_s_worth_passes_at_once(rate: int) -> None:
    gate = Gate(rate)

    assert [gate.admits(5.0) for _ in range(rate + 1)] == [True] * rate + [False]
    assert [gate.admits(6.0 + 1e-6) for _ in range(rate + 1)] == [True] * rate + [False]


@given(RATES, st.integers(0, 500))
def test_everything_is_either_shown_or_counted(rate: int, offered: int) -> None:
    full = tap(max_per_second=rate)
    for number in range(offered):
        if full.admits(number / 1000):
            full.add({"number": number})

    items, dropped = full.take()

    assert len(items) + dropped == offered
    assert full.take() == ([], 0)


def test_what_is_not_taken_does_not_pile_up() -> None:
    left = tap(max_per_second=5)
    for second in range(100):
        if left.admits(float(second)):
            left.add({})

    items, dropped = left.take()

    assert (len(items), dropped) == (10, 90)


def test_messages_are_chosen_by_type_and_by_channel() -> None:
    chosen = tap(types=["task_*", "patch"], channels=["task:*", "instance:counter"])

    assert chosen.wants_message("task:1", "task_update")
    assert chosen.wants_message("instance:counter", "patch")
    assert not chosen.wants_message("instance:other", "patch")
    assert not chosen.wants_message("task:1", "notification")


def test_no_pattern_is_every_message_and_no_event() -> None:
    everything = tap(events=[])

    assert everything.wants_message("user:42", "anything")
    assert not everything.wants_event("connection")
    assert tap().wants_event("connection")
    assert not tap(events=["user_*"]).wants_event("connection")
    assert not tap(messages=False).wants_message("user:42", "anything")


@given(st.lists(st.text(alphabet="ab*", min_size=1, max_size=4), max_size=3), st.lists(st.text("ab", max_size=5)))
def test_what_is_remembered_of_a_name_is_what_was_found(patterns: list[str], names: list[str]) -> None:
    choice = Choice(patterns)

    first = [name in choice for name in names]

    assert [name in choice for name in names] == first == [name in Choice(patterns) for name in names]


def test_more_names_than_are_remembered_are_looked_at_again() -> None:
    choice = Choice(["a*"])

    found = [f"{letter}{number}" in choice for number in range(REMEMBERED) for letter in "ab"]

    assert found == [True, False] * REMEMBERED
