"""While Redis is away the page looks it, and comes back by itself."""

from __future__ import annotations

import pytest

from tests.browser.dashboard.conftest import Dashboard
from tests.support.browser import BINARY
from tests.support.redis import Server
from tests.support.replica import replicas

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

LIVES = "import('./static/dashboard/core/monitor.js').then((monitor) => !!monitor.stats.value)"
SHADE = "Number(getComputedStyle(document.querySelector('.figures')).opacity)"


async def test_figures_that_stand_still_are_said_to(dashboard: Dashboard, own_server: Server) -> None:
    page = dashboard.page
    with replicas(1, own_server.url, "away") as (replica,):
        await dashboard.open(replica)
        await page.until(LIVES)
        await page.until(f"document.querySelector('.figures') && {SHADE} === 1")
        own_server.freeze()
        await page.until("!!document.querySelector('.line.stale')", seconds=8)
        assert await page.evaluate(SHADE) < 0.6
        await dashboard.shows("Not fresh: Redis may be away", ".line")
        await dashboard.shows("last figures 6 s ago", ".line")
        await dashboard.go("connections")
        await dashboard.shows("Not fresh", ".line")

        own_server.thaw()
        await page.until("!!document.querySelector('.line.open')")
        await dashboard.go("overview")
        await page.until(f"document.querySelector('.figures') && {SHADE} === 1")
