"""Fleets of real replica processes before a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import fairlead
from fairlead.backend.backend import Backend
from tests.support.replica import Replica, replicas


@pytest.fixture(scope="module")
def fleet_prefix() -> str:
    return "fleet"


@pytest.fixture(scope="module")
def fleet(redis_url: str, fleet_prefix: str) -> Iterator[list[Replica]]:
    """Two replicas that the tests of a module share and leave as they were."""
    with replicas(2, redis_url, fleet_prefix, lease_seconds=3, rate_messages_per_second=0) as fleet:
        yield fleet


@pytest.fixture
async def backend(redis_url: str, fleet_prefix: str) -> AsyncIterator[Backend]:
    """A backend process's way to the fleet."""
    async with fairlead.connect(redis_url, prefix=fleet_prefix, name="tests") as backend:
        yield backend
