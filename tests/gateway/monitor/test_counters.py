"""What a replica counts, by name; and how old messages are."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from fairlead import codes
from fairlead.ids import uuid7
from fairlead_gateway.monitor import Counters
from fairlead_gateway.monitor.ages import SAMPLES_PER_SECOND, Ages, age_ms
from fairlead_gateway.monitor.counters import COUNTED
from fairlead_gateway.monitor.histograms import Histogram


def test_every_figure_has_a_name() -> None:
    counters = Counters(messages_sent=1, messages_received=2, connections_opened=3, errors=4, messages_dropped=5)
    for code in (1000, codes.SLOW_CONSUMER.code, 1000, 4999, 3123):
        counters.closed(code)
    counters.action_ms.add(0.3)
    counters.action_ms.add(0.3)

    assert counters.flat() == {
        "messages_sent": 1,
        "messages_received": 2,
        "connections_opened": 3,
        "disconnections": 5,
        "errors": 4,
        "slow_consumers": 1,
        "messages_dropped": 5,
        "close:1000": 2,
        f"close:{codes.SLOW_CONSUMER.code}": 1,
        "close:0": 2,
        "action_ms:2": 2,
        "action_ms:sum": 600,
    }


def test_nothing_counted_has_its_names_nevertheless() -> None:
    assert Counters().flat() == dict.fromkeys(COUNTED, 0)


def test_an_id_of_ours_says_when_it_was_made_and_no_other_does() -> None:
    now_us = time.time_ns() // 1000

    age = age_ms(uuid7(), now_us + 250_000)

    assert age is not None and 240 < age < 300
    assert age_ms("01890a5d-ac96-774b-bcce-b302099a8057", now_us) is None, "that was years ago"
    for id in ("", "m-1", "x" * 36, "zzzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz", "550e8400-e29b-41d4-a716-446655440000"):
        assert age_ms(id, now_us) is None


@given(st.text(max_size=40), st.integers(0, 2**50))
def test_whatever_an_id_is_it_is_no_error(id: str, now_us: int) -> None:
    age_ms(id, now_us)


def test_few_messages_are_all_looked_at_and_of_many_some() -> None:
    histogram = Histogram()
    ages = Ages(histogram)

    def seen(count: int) -> int:
        before = sum(histogram.counts)
        for _ in range(count):
            ages(uuid7())
        ages.tune()
        return sum(histogram.counts) - before

    assert seen(SAMPLES_PER_SECOND // 2) == SAMPLES_PER_SECOND // 2
    seen(50 * SAMPLES_PER_SECOND)
    assert abs(seen(50 * SAMPLES_PER_SECOND) - SAMPLES_PER_SECOND) <= SAMPLES_PER_SECOND // 10
    seen(1)
    assert seen(3) == 3
