"""The description of the HTTP interface in a real browser: from our own files, tried with the caller's token."""

from __future__ import annotations

import pytest

from fairlead_gateway.rest.table import ROWS
from tests.browser.dashboard.conftest import Dashboard
from tests.support.browser import BINARY, Page
from tests.support.replica import Replica, replicas

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")


@pytest.fixture
async def dashboard(page: Page) -> Dashboard:
    return Dashboard(page)


async def test_every_route_is_described_and_can_be_tried(
    dashboard: Dashboard, redis_url: str, page_prefix: str
) -> None:
    page = dashboard.page
    with replicas(1, redis_url, page_prefix) as (replica,):
        await signed_in(dashboard, replica)
        await page.open(f"{replica.http}/docs")
        await page.until(f"document.querySelectorAll('.opblock').length === {len(ROWS)}")
        await dashboard.click(".opblock-summary-path", "/stats")
        # By a clock of the page: Swagger UI looks at an operation 35 ms after it is opened, and forgets earlier clicks.
        await page.evaluate("new Promise((done) => setTimeout(done, 500))")
        await dashboard.click(".execute")
        said = await page.until("document.querySelector('.live-responses-table .response')?.textContent")

        assert "total_connections" in said
        assert [url for url in page.requests if not url.startswith((replica.http, "ws", "data:"))] == []
        assert page.complaints == []


async def signed_in(dashboard: Dashboard, replica: Replica) -> None:
    """A token is in the tab, as after a look at the dashboard."""
    await dashboard.open(replica)
