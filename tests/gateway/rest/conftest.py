"""A replica process of its own, which the tests of a module may call as whom they like."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.replica import Replica, replicas


@pytest.fixture(scope="module")
def replica(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Replica]:
    """One replica, shared by the tests of a module."""
    prefix = request.module.__name__.rpartition(".")[2]
    with replicas(1, redis_url, prefix, lease_seconds=3, rate_messages_per_second=0) as (one,):
        yield one
