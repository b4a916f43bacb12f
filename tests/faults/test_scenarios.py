"""The quick faults, each with one seed; ``make faults`` runs all of them with several."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.ground import Ground
from tests.faults.scenarios import SCENARIOS, SMALL_BUFFER
from tests.faults.stage import Scenario, Stage

SEED = 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground() -> AsyncIterator[Ground]:
    """What every quick fault needs; healed after each."""
    async with Ground(is_cabled=True, redis_options=SMALL_BUFFER) as ground:
        yield ground


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if one.is_quick], ids=lambda one: one.name)
async def test_nothing_is_lost_without_notice(scenario: Scenario, ground: Ground) -> None:
    try:
        outcome = await Stage(scenario, SEED, ground).run()
    finally:
        await ground.heal()

    assert outcome.acknowledged > 0 and outcome.delivered > 0
    assert outcome.complaints == [], f"{scenario.name}, seed {SEED}: {outcome}"
