"""Who may use the dashboard, with what: a token, a keyboard, a screen reader, a phone; and what it never does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fairlead.backend.backend import Backend
from fairlead_gateway.access.minting import Wish, mint
from tests.browser.dashboard.conftest import SCREENS, Dashboard
from tests.support.browser import BINARY
from tests.support.client import connected
from tests.support.replica import SECRET, Replica, token

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

HOSTILE = "<img src=x onerror=document.title='owned'>'\"`${1}</script>\u202edetsrever"
CONTRAST = (Path(__file__).parents[1] / "contrast.js").read_text()

FOCUS = "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
NAMED = ("button", "link", "textbox", "searchbox", "combobox", "checkbox", "slider", "dialog", "figure", "meter")


@pytest.fixture
async def busy(fleet: list[Replica], fl: Backend) -> AsyncIterator[None]:
    """Something to see on every screen, with names that are long or mean harm."""
    hostile = mint(SECRET, Wish("x" * 128, metadata={"name": HOSTILE}))
    asking = asyncio.create_task(fl.ask("ada", HOSTILE, timeout=60, task_id="t1"))
    await fl.update_task("t1", status="running", progress=30, message=HOSTILE, current_device=HOSTILE)
    await fl.send_patch("counter", {HOSTILE.replace(".", ""): HOSTILE, "state": {"deep": {"deeper": [1, None, True]}}})
    async with (
        connect(fleet[1].url, additional_headers={"Authorization": f"Bearer {hostile}"}, proxy=None),
        connected(f"{fleet[2].url}/chat/session/{'s' * 100}", "ada"),
        connected(f"{fleet[2].url}/instance/counter", "ben"),
    ):
        yield
    asking.cancel()


async def test_without_a_token_one_is_asked_for(dashboard: Dashboard, fleet: list[Replica]) -> None:
    page = dashboard.page
    await page.open(f"{fleet[0].http}/dashboard")
    await dashboard.write("[name=token]", "no token")
    await dashboard.click("form button")
    await dashboard.shows("That is no token")
    await dashboard.write("[name=token]", token("ops", ttl_seconds=-2))
    await dashboard.click("form button")
    await dashboard.shows("expired")
    await dashboard.write("[name=token]", token("ops", role="admin"))
    await dashboard.click("form button")

    await page.until("!!document.querySelector('.line.open')")


async def test_a_token_is_in_no_address_and_ends(dashboard: Dashboard, fleet: list[Replica]) -> None:
    page = dashboard.page
    secret = token("ops", role="admin", ttl_seconds=5)
    await page.open(f"{fleet[0].http}/dashboard#token={secret}")
    await page.until("!!document.querySelector('.line.open')")

    assert await page.evaluate("location.href") == f"{fleet[0].http}/dashboard#/"
    assert await page.evaluate("history.length") <= 2
    assert [url for url in page.requests if secret in url] == []
    await dashboard.shows("Your token has expired.")
    assert await page.evaluate("sessionStorage.length") == 0


async def test_ranks_see_what_they_may(dashboard: Dashboard, fleet: list[Replica]) -> None:
    await dashboard.open(fleet[0], "configuration", role="viewer")
    await dashboard.shows("Your role may not see this")
    await dashboard.page.open("about:blank")
    await dashboard.page.open(f"{fleet[0].http}/dashboard#token={token('ada')}")

    await dashboard.shows("it takes a viewer, an operator or an admin", ".sign-in [role=alert]")
    assert await dashboard.page.evaluate("sessionStorage.length") == 0


async def test_what_a_rank_may_not_do_is_not_offered(dashboard: Dashboard, fleet: list[Replica]) -> None:
    offered = "[...document.querySelectorAll('.sheet-body button')].map((one) => one.textContent.trim())"
    async with connected(fleet[1].url, "ada"):
        await dashboard.open(fleet[0], "users/ada", role="viewer")
        await dashboard.shows("is for operators and admins", ".sheet")
        assert await dashboard.page.evaluate(offered) == []


async def test_a_token_is_taken_from_the_address_of_an_open_page(dashboard: Dashboard, fleet: list[Replica]) -> None:
    page = dashboard.page
    await dashboard.open(fleet[0], "users", role="viewer")
    await page.evaluate(f"void (location.hash = '#token={token('other', role='operator')}')")
    await dashboard.shows("other · operator", ".who")
    await page.until("!!document.querySelector('.line.open')")
    assert await page.evaluate("location.hash") == "#/"
    await page.evaluate("void (location.hash = '#token=nonsense')")
    await dashboard.shows("What the address held is no token.", ".sign-in")


async def test_whoever_is_logged_out_everywhere_is_gone_and_listed(dashboard: Dashboard, fleet: list[Replica]) -> None:
    async with connected(fleet[1].url, "leaver") as leaver:
        await dashboard.open(fleet[0], "users/leaver")
        await dashboard.click(".sheet button", "Log out everywhere…")
        await dashboard.click(".box button", "Log out")
        assert (await leaver.closed())[0] == 4401
        await dashboard.shows("Logged out leaver; 1 connection closed.", ".toasts")
        await dashboard.shows("4401", ".sheet")
    await dashboard.go("history?what=revoked")
    await dashboard.shows("leaver", "tbody")


async def test_an_id_that_no_address_can_hold_shows_nobody_else(dashboard: Dashboard, fleet: list[Replica]) -> None:
    async with connected(fleet[1].url, ".."), connected(fleet[1].url, "ada"):
        await dashboard.open(fleet[0], "users/..")
        await dashboard.page.until(
            "document.querySelectorAll('.sheet .table[aria-label^=Their] tbody tr').length === 1"
        )
        await dashboard.click(".sheet button", "Ping all now")
        await dashboard.shows("cannot stand in an address", ".toasts")


async def test_an_address_that_names_no_screen_says_so(dashboard: Dashboard, fleet: list[Replica]) -> None:
    await dashboard.open(fleet[0])
    for name in ("nosuch", "toString"):
        await dashboard.page.evaluate(f"void (location.hash = '#/{name}')")
        await dashboard.shows("This address leads nowhere", "main")
        await dashboard.page.evaluate("void (location.hash = '#/')")
        await dashboard.page.until("document.querySelector('h1').textContent === 'Overview'")


async def test_no_secret_is_shown(dashboard: Dashboard, fleet: list[Replica]) -> None:
    await dashboard.open(fleet[0], "configuration")
    await dashboard.shows("jwt_secret")

    assert "f3a1c5e7" not in await dashboard.text("body")


@pytest.mark.usefixtures("busy")
async def test_every_screen_is_whole_and_asks_nobody_else(dashboard: Dashboard, fleet: list[Replica]) -> None:
    page = dashboard.page
    await dashboard.open(fleet[0])
    for screen in (*SCREENS, "instances/counter", "users/ada", "history?what=audit"):
        await dashboard.go(screen)
        await page.until("document.querySelectorAll('h1').length === 1")
        assert await page.evaluate("document.querySelectorAll('.trouble').length") == 0, screen
        assert await unnamed(dashboard) == [], screen
        await page.press("Escape", code=27)
    await page.open(f"{fleet[0].http}/docs")
    await page.until("document.querySelectorAll('.opblock').length > 20")

    own = (fleet[0].http, fleet[0].http.replace("http", "ws", 1), "data:")
    assert [url for url in page.requests if not url.startswith(own)] == []
    assert page.complaints == []


@pytest.mark.usefixtures("busy")
async def test_what_others_say_is_text(dashboard: Dashboard, fleet: list[Replica]) -> None:
    await dashboard.open(fleet[0])
    seen = []
    for screen in ("connections?user_id=" + "x" * 128, "instances/counter", "questions", "tasks"):
        await dashboard.go(screen)
        if screen.startswith("connections"):
            await dashboard.click("tbody tr")
        await dashboard.shows("onerror=", seconds=5)
        seen.append(await dashboard.page.evaluate("document.querySelectorAll('#app img').length"))

    assert seen == [1, 1, 1, 1]  # our own, beside our name
    assert "owned" not in await dashboard.page.evaluate("document.title")


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False)])
async def test_everything_can_be_read(dashboard: Dashboard, fleet: list[Replica], width: int, dark: bool) -> None:
    page = dashboard.page
    await dashboard.open(fleet[0], width=width, dark=dark)
    for screen in (*SCREENS, "replicas/none", "instances/counter"):
        await dashboard.go(screen)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, screen
        assert await page.evaluate(CONTRAST) == [], screen


async def test_the_keyboard_reaches_everything(dashboard: Dashboard, fleet: list[Replica]) -> None:
    page = dashboard.page
    async with connected(fleet[1].url, "ada"):
        await dashboard.open(fleet[0])
        await page.press("Tab", code=9)
        assert await page.evaluate(FOCUS) == "Skip to content"
        await page.press("Enter", code=13)
        assert await page.evaluate("document.activeElement.id") == "main"

        await page.press("c")
        await page.until("document.querySelector('h1')?.textContent === 'Connections'")
        await page.press("/")
        await page.until("document.activeElement.className === 'search'")
        await page.press("q")
        assert await page.evaluate("document.querySelector('h1').textContent") == "Connections"
        await dashboard.write(".search", "ada")
        await page.until("document.querySelectorAll('tbody tr').length === 1")
        await page.evaluate("document.querySelector('tbody .code a').focus()")
        await page.press("Enter", code=13)
        await page.until("document.querySelector('dialog[open]')?.contains(document.activeElement)")
        await page.press("Escape", code=27)
        await page.until("!document.querySelector('dialog')")
        assert await page.evaluate("document.activeElement.closest('tbody') !== null")
        await page.evaluate("document.activeElement.blur()")
        await page.press("?")
        await dashboard.shows("these keys", "dialog")


MODAL = "document.querySelector('.sheet')?.matches(':modal')"


@pytest.mark.parametrize("width", [1440, 390])
async def test_a_sheet_is_over_everything_however_it_is_reached(
    dashboard: Dashboard, fleet: list[Replica], width: int
) -> None:
    page = dashboard.page
    loaded = "!!document.querySelector('.names') && !!document.querySelector('.sheet tbody')"
    async with connected(fleet[1].url, "ada"), connected(fleet[2].url, "ben"):
        await dashboard.open(fleet[0], "overview", width=width)
        await dashboard.go("users/ada")
        await page.until(loaded)
        assert await page.evaluate(MODAL), "from another screen"
        await page.command("Page.reload")
        await page.until(f"document.readyState === 'complete' && {loaded}")
        assert await page.evaluate(MODAL), "after a reload"
        await page.until("document.querySelector('.sheet').getBoundingClientRect().right === innerWidth")
        middle = """(() => {
            const { x, y } = document.querySelector('.sheet [aria-label=Close]').getBoundingClientRect();
            return document.elementFromPoint(x + 16, y + 16).closest('[aria-label=Close]') !== null })()"""
        assert await page.evaluate(middle), "its button can be reached"
        assert await page.evaluate("document.querySelector('.sheet').contains(document.activeElement)")
        await page.press("Escape", code=27)
        await page.until("!document.querySelector('dialog')")


async def test_what_was_done_is_said_over_whatever_is_open(dashboard: Dashboard, fleet: list[Replica]) -> None:
    page = dashboard.page
    said = """(() => { const toast = document.querySelector('.toasts p'); if (!toast) return '';
        const { x, y, width, height } = toast.getBoundingClientRect();
        toast.parentNode.style.pointerEvents = 'auto';
        return document.elementFromPoint(x + width / 2, y + height / 2) === toast ? toast.textContent : '' })()"""
    async with connected(fleet[1].url, "ada"):
        await dashboard.open(fleet[0], "users/ada")
        await dashboard.click(".sheet button", "Ping all now")
        await page.until(f"{said}.includes('answered')")
        assert await page.evaluate("document.querySelectorAll('.toasts p').length") == 1
        await page.press("Escape", code=27)
        await page.until("!document.querySelector('dialog')")
        await page.until(f"{said}.includes('answered')")


async def unnamed(dashboard: Dashboard) -> list[Any]:
    """Whatever a screen reader would come upon and could not name."""
    tree = await dashboard.page.command("Accessibility.getFullAXTree")
    return [
        json.dumps(node)
        for node in tree["nodes"]
        if not node.get("ignored")
        and node.get("role", {}).get("value") in NAMED
        and not node.get("name", {}).get("value", "").strip()
    ]
