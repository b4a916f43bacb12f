"""What a check comes to, and how checks are run: each by itself, in its time, and never with a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

Verdict: TypeAlias = Literal["good", "advice", "wrong", "skipped"]


class Finding(NamedTuple):
    """What one check has found."""

    check: str
    """What was looked at, in one word: ``eviction``."""
    verdict: Verdict
    text: str
    """How it is."""
    todo: str = ""
    """What to do about it, where there is something to do."""
    facts: dict[str, Any] = {}  # noqa: RUF012
    """The same for programs."""

    def as_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "verdict": self.verdict,
            "text": self.text,
            "todo": self.todo,
            "facts": self.facts,
        }


def good(check: str, text: str, **facts: Any) -> Finding:
    return Finding(check, "good", text, "", facts)


def advice(check: str, text: str, todo: str, **facts: Any) -> Finding:
    return Finding(check, "advice", text, todo, facts)


def wrong(check: str, text: str, todo: str, **facts: Any) -> Finding:
    return Finding(check, "wrong", text, todo, facts)


def skipped(check: str, why: str, todo: str = "") -> Finding:
    return Finding(check, "skipped", why, todo)


Check: TypeAlias = Callable[[], Awaitable[Iterable[Finding]]]


async def within(seconds: float, name: str, check: Check, fails: tuple[type[Exception], ...]) -> list[Finding]:
    """What *check* finds in its time; one of *fails* that it lets pass is a finding, too."""
    try:
        async with asyncio.timeout(seconds):
            return list(await check())
    except TimeoutError:
        return [wrong(name, f"no answer within {seconds:g} s", "see whether something between here and there is slow")]
    except fails as error:
        return [wrong(name, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", "see the text")]
