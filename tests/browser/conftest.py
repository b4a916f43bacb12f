"""The page of ``fairlead dev`` in a real browser, before two replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from tests.support.browser import Page
from tests.support.redis import free_port
from tests.support.replica import Replica

STATES = "[...document.querySelectorAll('.seat .state')].map((state) => state.textContent).join()"


@pytest.fixture(scope="module")
def page_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def pair(redis_url: str, page_prefix: str) -> Iterator[list[Replica]]:
    """Two replicas that serve the page, as ``fairlead dev`` starts them."""
    ports = free_port(), free_port()
    origins = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    fleet = [
        Replica(redis_url, page_prefix, name=f"dev-{port}", port=port, demo=origins, allowed_origins=origins)
        for port in ports
    ]
    with fleet[0], fleet[1]:
        yield fleet


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab


async def both_connected(page: Page) -> None:
    await page.until(f"{STATES} === 'connected,connected'")
