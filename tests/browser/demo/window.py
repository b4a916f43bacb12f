"""One person's window on the demonstration page, as somebody who sits before it uses it."""

from __future__ import annotations

import json
from typing import Any

from tests.support.browser import SECONDS, Page
from tests.support.replica import Replica
from tests.support.rest import rest


class Window:
    """The window of *user* in a tab, in which there may be another one beside it."""

    def __init__(self, page: Page, user: str) -> None:
        self.page = page
        self.user = user
        self._root = f"document.querySelector('[data-user={user}]')"

    # -- looking -----------------------------------------------------------------------------------

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression about the element ``root``."""
        return await self.page.evaluate(f"((root) => {expression})({self._root})")

    async def until(self, expression: str, seconds: float = SECONDS) -> Any:
        """The first true value of an expression about the element ``root``; false before there is one."""
        return await self.page.until(f"((root) => root && ({expression}))({self._root})", seconds)

    async def text(self, selector: str) -> str:
        """What the first element says, or nothing where there is none."""
        return str(await self.evaluate(f"root.querySelector({json.dumps(selector)})?.textContent ?? ''"))

    async def connected(self) -> None:
        await self.until("!!root.querySelector('.state.open')")

    async def settled(self) -> None:
        """Connected, in both conversations, and following the document."""
        await self.connected()
        await self.until("!root.querySelector('.round').disabled && !!root.querySelector('.crew .here')")

    async def lost(self) -> None:
        await self.until("!root.querySelector('.state.open')")

    async def lines(self, kind: str = "theirs") -> list[str]:
        """What was said in the conversation that is seen, in its order: ``theirs`` or ``mine``."""
        found: list[str] = await self.evaluate(
            f"[...root.querySelectorAll('.said .{kind} .text')].map((line) => line.textContent)"
        )
        return found

    async def hears(self, text: str, kind: str = "theirs") -> None:
        texts = f"[...root.querySelectorAll('.said .{kind} .text')].map((line) => line.textContent)"
        await self.until(f"{texts}.includes({json.dumps(text)})")

    async def told(self, text: str) -> str:
        """What the window tells of what has happened, once it holds *text*."""
        found = "[...root.querySelectorAll('.news p, .older li')].map((line) => line.textContent)"
        return str(await self.until(f"{found}.find((line) => line.includes({json.dumps(text)}))"))

    async def marked(self, text: str, mark: str) -> None:
        """A word of its own has come so far: ``waiting``, ``sent``, ``read``."""
        mine = "[...root.querySelectorAll('.said .mine')]"
        has_text = f"(line) => line.querySelector('.text').textContent === {json.dumps(text)}"
        await self.until(f"{mine}.find({has_text})?.dataset.mark === {json.dumps(mark)}")

    @property
    def replica(self) -> str:
        """Expression: the name of its replica."""
        return "root.querySelector('[data-fact=replica]').textContent"

    # -- doing ---------------------------------------------------------------------------------------

    async def say(self, text: str) -> None:
        written = f"form.elements.text.value = {json.dumps(text)}"
        await self.evaluate(f"{{ const form = root.querySelector('.say'); {written}; form.requestSubmit(); }}")

    async def type(self, text: str) -> None:
        """Write without sending."""
        await self.evaluate(
            f"""{{
              const field = root.querySelector(".say input");
              field.value = {json.dumps(text)};
              field.dispatchEvent(new Event("input", {{ bubbles: true }}));
            }}"""
        )

    async def press(self, label: str) -> None:
        """Press the button of that text or name, once it can be pressed."""
        named = f"[button.textContent.trim(), button.ariaLabel].includes({json.dumps(label)})"
        found = f"[...root.querySelectorAll('button:enabled')].find((button) => {named})"
        await self.until(f"!!{found}")
        await self.evaluate(f"void {found}.click()")

    async def break_it(self, act: str) -> None:
        """``drop``, ``offline``, ``away`` or ``kill``."""
        await self.until(f"!!root.querySelector('[data-act={act}]:enabled')")
        await self.evaluate(f"void root.querySelector('[data-act={act}]').click()")

    async def show(self, talk: str) -> None:
        await self.evaluate(f"void root.querySelector('[id$={talk}-tab]').click()")

    async def notify(self, kind: str) -> None:
        await self.evaluate(
            f"""{{
              const choice = root.querySelector(".joined select");
              choice.value = {json.dumps(kind)};
              choice.dispatchEvent(new Event("change", {{ bubbles: true }}));
            }}"""
        )
        await self.until(f"root.querySelector('.joined select').value === {json.dumps(kind)}")
        await self.press("Notify")


class Card:
    """The first question in a window."""

    def __init__(self, window: Window) -> None:
        self._window = window

    async def shown(self, count: int = 1) -> None:
        await self._window.until(f"root.querySelectorAll('.question').length === {count}")

    async def gone(self, told: str) -> None:
        """No question is left, and the window says what became of one."""
        await self.shown(0)
        assert await self._window.told(told)

    async def text(self, selector: str) -> str:
        return await self._window.text(f".question {selector}")

    async def write(self, selector: str, value: object) -> None:
        await self._window.evaluate(f"void ({self._part(selector)}.value = {json.dumps(value)})")

    async def click(self, label: str) -> None:
        buttons = f"[...{self._part('.choices')}.children]"
        await self._window.evaluate(
            f"void {buttons}.find((button) => button.textContent === {json.dumps(label)}).click()"
        )

    async def until(self, selector: str, condition: str) -> None:
        await self._window.until(f"{self._part(selector)}.{condition}")

    @staticmethod
    def _part(selector: str) -> str:
        return f"root.querySelector('.question').querySelector({json.dumps(selector)})"


async def disconnected(replica: Replica, user: str, reason: str) -> None:
    """End all connections of *user*, who shall stay away."""
    async with rest(replica, "admin") as api:
        closed = await api.post("/users/disconnect", {"user_id": user, "reason": reason})
    assert closed["count"] == 1
