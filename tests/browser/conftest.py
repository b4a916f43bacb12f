"""A tab of a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.support.browser import Page


@pytest.fixture(scope="package")
def page_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab


@pytest.fixture
async def other_page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab
