"""What comes after a close: the table of codes, the back-off, and tokens that are refused."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import codes
from fairlead.client.returning import STABLE_SECONDS, Plan, Returning
from fairlead.client.told import End, end_of


def returning(*, renews: bool = True, attempts: int = 1) -> Returning:
    one = Returning(0.5, 20.0, renews=renews, random=Random(7))
    for _ in range(attempts):
        one.tries()
    return one


STOPPED = Plan(comes_back=False)


@pytest.mark.parametrize("close", codes.CLOSES, ids=lambda close: close.word)
def test_the_words_for_the_client_say_what_it_does(close: codes.Close) -> None:
    says = {"stop": "stops", "back_off": "backs off", "delay": "delay", "renew": "refreshes"}
    jitter = close.client.startswith(("reconnects with jitter", "stops sending"))

    assert says[close.then] in close.client or (jitter and close.then == "back_off")


@pytest.mark.parametrize(
    ("code", "then"),
    [
        *((code, "stop") for code in (4001, 4098, 4499)),
        *((code, "back_off") for code in (4199, 4500, 4999, 3000, 1000, 1015, 0)),
        (4299, "delay"),
    ],
)
def test_of_other_codes_the_hundreds_tell(code: int, then: str) -> None:
    assert codes.then(code) == then


@given(st.integers(0, 5000), st.text(max_size=20))
def test_every_end_has_a_plan_within_bounds(code: int, text: str) -> None:
    plan = returning().after(End(code, "", text), 0.0)

    assert 0 <= plan.seconds <= 10**6
    assert plan.comes_back or plan == STOPPED


@given(st.integers(1, 200), st.floats(0.001, 10), st.floats(0.001, 60))
def test_the_back_off_has_full_jitter_below_its_bound(attempts: int, least: float, most: float) -> None:
    one = Returning(least, most, renews=False)
    for _ in range(attempts):
        one.tries()

    assert 0 <= one.after(End(1006, "lost"), 0.0).seconds <= min(most, least * 2.0**attempts)


def test_jitter_uses_the_whole_range() -> None:
    seconds = [returning(attempts=3).after(End(1006, "lost"), 0.0).seconds for _ in range(3)]
    spread = Returning(1.0, 1.0, renews=False, random=Random(1))
    many = [spread.after(End(1006, "lost"), 0.0).seconds for _ in range(500)]

    assert len(set(seconds)) == 1, "the same random numbers, the same delay"
    assert min(many) < 0.05 and max(many) > 0.95


def test_the_count_begins_anew_after_five_seconds_of_being_open() -> None:
    one = returning(attempts=4)
    one.opened(100.0)
    one.after(End(1006, "lost"), 100.0 + STABLE_SECONDS - 0.1)
    still = one.attempts
    one.opened(200.0)
    one.after(End(1006, "lost"), 200.0 + STABLE_SECONDS)

    assert (still, one.attempts) == (4, 0)


@pytest.mark.parametrize(("text", "seconds"), [("350", 0.35), ("0", 0.0), ("20000", 20.0)])
def test_a_delay_is_that_of_the_reason(text: str, seconds: float) -> None:
    assert returning().after(end_of(4200, f"drain: {text}"), 0.0) == Plan(comes_back=True, seconds=seconds)


@pytest.mark.parametrize("reason", ["", "drain", "drain: soon", "drain: -5", "drain: ٣", "drain: 1.5"])
def test_a_delay_without_a_number_is_a_back_off(reason: str) -> None:
    plan = returning().after(end_of(4200, reason), 0.0)

    assert plan.comes_back and 0 <= plan.seconds <= 1.0


def test_a_refused_token_is_renewed_at_once_and_the_second_time_after_a_back_off() -> None:
    one = returning()
    first = one.after(End(4401, "token_expired"), 0.0)
    one.opened(1.0)
    second = one.after(End(4401, "token_expired"), 2.0)

    assert first == Plan(comes_back=True, seconds=0.0, renews=True)
    assert second.renews and 0 < second.seconds <= 1.0


def test_refusals_are_in_a_row_only_without_a_good_time_or_another_end_between() -> None:
    after_a_while, after_another = returning(), returning()
    after_a_while.after(End(4401, "token_expired"), 0.0)
    after_a_while.opened(1.0)
    after_another.after(End(4401, "token_expired"), 0.0)
    after_another.after(End(1006, "lost"), 1.0)

    assert after_a_while.after(End(4401, "token_expired"), 100.0).seconds == 0.0
    assert after_another.after(End(4401, "token_expired"), 2.0).seconds == 0.0


def test_who_has_but_one_token_stops_when_it_is_refused() -> None:
    assert returning(renews=False).after(End(4401, "token_expired"), 0.0) == STOPPED


@pytest.mark.parametrize(
    ("code", "reason", "end"),
    [
        (4200, "drain: 350", End(4200, "drain", "350")),
        (4003, "kicked: by an operator: spam", End(4003, "kicked", "by an operator: spam")),
        (4403, "forbidden", End(4403, "forbidden", "")),
        (1001, "", End(1001, "going_away", "")),
        (1001, "Server is leaving", End(1001, "going_away", "Server is leaving")),
        (4777, "", End(4777, "other", "")),
    ],
)
def test_a_reason_is_a_word_and_a_text(code: int, reason: str, end: End) -> None:
    assert end_of(code, reason) == end
