"""Two replicas with the limits of production and short deadlines, watched while they are attacked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cluster.attacks.attacker import check_log, unharmed
from tests.support.replica import Replica, replicas

DEADLINE_SECONDS = 1.0
"""Of request heads and of first frames."""


@pytest.fixture(scope="package")
def attacked_fleet(redis_url: str) -> Iterator[list[Replica]]:
    deadlines = {"auth_timeout_seconds": DEADLINE_SECONDS, "header_timeout_seconds": DEADLINE_SECONDS}
    with replicas(2, redis_url, "attacked", lease_seconds=3, **deadlines) as fleet:
        yield fleet
        for replica in fleet:
            check_log(replica)


@pytest.fixture
async def target(attacked_fleet: list[Replica]) -> AsyncIterator[Replica]:
    """The replica to attack; when the test has ended, it must have come to no harm."""
    async with unharmed(attacked_fleet[0]):
        yield attacked_fleet[0]
