"""The demonstration page in a real browser: before two replicas, behind a real Nginx, and in ``fairlead dev``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

import fairlead
from fairlead.backend.backend import Backend
from tests.browser.demo.window import Window
from tests.support.browser import Page
from tests.support.redis import free_port
from tests.support.replica import Replica


@pytest.fixture(scope="package")
def page_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="package")
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
async def fl(redis_url: str, page_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=page_prefix) as backend:
        yield backend


@pytest.fixture
async def side_by_side(page: Page, pair: list[Replica]) -> tuple[Window, Window]:
    """Ada and ben, each on a replica of their own, in one wide page."""
    await page.open(f"{pair[0].http}/", width=1440)
    ada, ben = Window(page, "ada"), Window(page, "ben")
    await ada.settled()
    await ben.settled()
    return ada, ben
