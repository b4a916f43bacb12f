"""Whatever happens to a channel, in whatever order: nothing lost without notice, nothing twice, no hole (I1-I3)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import Machine

EXAMPLES = int(os.environ.get("FAIRLEAD_TEST_EXAMPLES", "60"))


def test_nothing_is_lost_whatever_happens(redis_url: str) -> None:
    class Here(Machine):
        url = redis_url

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
