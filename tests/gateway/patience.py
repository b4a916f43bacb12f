"""Waiting for what must come true, never for longer than a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def until(check: Callable[[], object], seconds: float = 5.0, what: str = "") -> None:
    """Return as soon as *check* is true."""
    try:
        async with asyncio.timeout(seconds):
            while not check():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what or check}") from None


async def until_asked(check: Callable[[], Awaitable[object]], seconds: float = 5.0, what: str = "") -> None:
    """As `until`, for what must be asked for."""
    try:
        async with asyncio.timeout(seconds):
            while not await check():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what or check}") from None
