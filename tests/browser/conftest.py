"""A tab of a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.browser import Page


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab


@pytest.fixture
async def other_page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab
