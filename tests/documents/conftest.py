"""What blocks are run against: a Redis of their own with the prefix that everybody has, and two replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.documents.conversation import SETTINGS, Record, converse
from tests.support.redis import Server
from tests.support.replica import Replica, replicas


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def redis_url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="module")
def fleet(server: Server) -> Iterator[list[Replica]]:
    with replicas(2, server.url, "fl", **SETTINGS) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def record(server: Server, fleet: list[Replica]) -> Record:
    """What was said and heard when everything was."""
    return asyncio.run(asyncio.wait_for(converse(server, fleet), 100))
