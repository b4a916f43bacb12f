"""Rates and percentiles are differences of samples, and a sample is what it was after it was written down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.admin.past import WINDOWS, past
from fairlead_gateway.admin.samples import COLUMNS, Sample, parsed, rates, sample_of, spread
from fairlead_gateway.monitor.counters import COUNTED

FIGURES = st.fixed_dictionaries({name: st.integers(0, 2**53) for name in COLUMNS})


def sample(second: float, **figures: int) -> Sample:
    return sample_of(int(second * 1000), figures, {})


@given(
    st.integers(0, 2**45), FIGURES, st.dictionaries(st.sampled_from(["action_ms:0", "delivery_ms:16"]), st.integers(0))
)
def test_a_sample_is_read_as_it_was_written(at_ms: int, figures: dict[str, int], counters: dict[str, int]) -> None:
    made = sample_of(at_ms, figures, {name: value % 2**53 for name, value in counters.items()})

    assert parsed(made.as_bytes()) == made


@given(st.binary())
def test_what_is_no_sample_is_none(data: bytes) -> None:
    assert parsed(data) is None


def test_what_is_of_an_older_version_is_read_as_far_as_it_goes() -> None:
    for data in (b"[]", b'{"at":1}', b'{"at":"1","figures":[]}', b'{"at":1,"figures":["x"]}'):
        assert parsed(data) is None
    found = parsed(b'{"at":1,"figures":[7],"action_ms":[1,2]}')
    assert found is not None
    assert (found.figures, found.counts["action_ms"][:3]) == ({"total_connections": 7}, [1, 2, 0])


def test_rates_are_per_second_and_never_below_zero() -> None:
    before, after = sample(10, messages_sent=100, errors=9), sample(12.5, messages_sent=350, errors=4)

    found = rates(before, after)

    assert (found["messages_sent"], found["errors"]) == (100.0, 0.0)
    assert rates(None, after) == rates(after, after) == dict.fromkeys(COUNTED, 0.0)


def test_percentiles_are_of_what_came_in_between() -> None:
    before = sample_of(0, {}, {"action_ms:0": 1000, "action_ms:5": 3})
    after = sample_of(0, {}, {"action_ms:0": 1000, "action_ms:5": 13})

    assert spread(before, after)["action_ms"]["count"] == 10
    assert 2.5 < spread(before, after)["action_ms"]["p50"] <= 5
    assert spread(None, after)["action_ms"]["p50"] <= 0.1


def test_the_past_has_a_point_for_each_step_and_sums_it_up() -> None:
    samples = [
        sample(n, messages_sent=10 * n, total_connections=n, active_users=1, active_sessions=2) for n in range(3)
    ]

    found = past(samples)

    assert [(point["connections"], point["users"], point["sessions"]) for point in found["points"]] == [
        (1, 1, 2),
        (2, 1, 2),
    ]
    assert [point["messages_sent"] for point in found["points"]] == [10.0, 10.0]
    assert found["rates"]["messages_sent"] == 10.0
    assert past([])["points"] == past(samples[:1])["points"] == []


def test_a_window_has_a_moment_for_each_step_up_to_now() -> None:
    assert WINDOWS["minute"].moments(100_000) == list(range(40_000, 100_001, 1000))
    assert len(WINDOWS["hour"].moments(4_000_000)) == 121
