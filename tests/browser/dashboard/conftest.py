"""The dashboard in a real browser, before three replicas."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

import fairlead
from fairlead.backend.backend import Backend
from tests.support.browser import Page
from tests.support.replica import Replica, replicas, token

SCREENS = (
    *("overview", "replicas", "connections", "users", "sessions", "instances"),
    *("live", "tasks", "questions", "alerts", "history", "playground", "configuration"),
)

LEASE_SECONDS = 4


class Dashboard:
    """The page of one replica, as somebody who is signed in uses it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def open(self, replica: Replica, screen: str = "", *, role: str = "admin", **window: Any) -> None:
        """Sign in with what stands behind the address, and wait until the figures live."""
        await self.page.open(f"{replica.http}/dashboard#token={token('ops', role=role)}", **window)
        await self.page.until("!!document.querySelector('.line.open')")
        if screen:
            await self.go(screen)

    async def go(self, screen: str) -> None:
        """Show a screen, and wait until it has what it shows."""
        await self.page.evaluate(f"void (location.hash = '#/{screen}')")
        name = screen.partition("/")[0].partition("?")[0]
        await self.page.until(f"document.querySelector('nav a[aria-current]')?.hash === '#/{name}'")
        await self.page.until("!document.querySelector('main .loading')")

    async def click(self, selector: str, text: str = "") -> None:
        """Click the first that matches and holds *text*, once there is one."""
        holds = f"(element) => element.textContent.includes({json.dumps(text)})"
        found = f"[...document.querySelectorAll({json.dumps(selector)})].find({holds})"
        await self.page.until(f"!!{found}")
        await self.page.evaluate(f"{found}.click()")

    async def write(self, selector: str, text: str) -> None:
        """Write into a field as a person does: it is told of the change."""
        await self.page.until(f"!!document.querySelector({json.dumps(selector)})")
        await self.page.evaluate(
            f"""(() => {{
              const field = document.querySelector({json.dumps(selector)});
              field.value = {json.dumps(text)};
              field.dispatchEvent(new Event("input", {{ bubbles: true }}));
            }})()"""
        )

    async def text(self, selector: str) -> str:
        return str(await self.page.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''"))

    async def shows(self, text: str, within: str = "body", seconds: float = 15.0) -> None:
        """*text* is, or comes to be, on the page."""
        place = f"document.querySelector({json.dumps(within)})"
        await self.page.until(f"({place}?.textContent ?? '').includes({json.dumps(text)})", seconds)


@pytest.fixture(scope="package")
def fleet_prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="package")
def fleet(redis_url: str, fleet_prefix: str) -> Iterator[list[Replica]]:
    with replicas(3, redis_url, fleet_prefix, live_content=True, lease_seconds=LEASE_SECONDS) as three:
        yield three


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab


@pytest.fixture
def dashboard(page: Page) -> Dashboard:
    return Dashboard(page)


@pytest.fixture
async def fl(redis_url: str, fleet_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=fleet_prefix) as backend:
        yield backend
