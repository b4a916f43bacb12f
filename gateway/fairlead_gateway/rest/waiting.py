"""Requests that wait for something: no longer than the client does, nor than the replica stays."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect

from fairlead_gateway.rest.route import Asked

Found = TypeVar("Found")

MAX_SECONDS: Final = 30.0
"""How long a request may wait."""

LAST_SECONDS: Final = 0.5
"""How long one still waits when the replica leaves: who asks again at once must not do so a thousand times a second."""


async def patiently(asked: Asked[Any, Any], work: Coroutine[Any, Any, Found]) -> Found | None:
    """
    What *work* comes to; None when the replica is about to leave, so that another one is to be asked.

    :raises ClientDisconnect: nobody waits for it any more.
    :raises TokenRejected: the caller's token was revoked meanwhile.
    """
    found = await _worked(asked, work)
    asked.api.replica.revoked.known.check(asked.identity)
    return found


async def _worked(asked: Asked[Any, Any], work: Coroutine[Any, Any, Found]) -> Found | None:
    working = asyncio.ensure_future(work)
    left = asyncio.ensure_future(asked.left())
    leaves = asyncio.ensure_future(asked.api.leaves())
    try:
        done, _ = await asyncio.wait([working, left, leaves], return_when=asyncio.FIRST_COMPLETED)
        if done == {leaves}:
            done, _ = await asyncio.wait([working, left], timeout=LAST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            return working.result()
        if left in done:
            raise ClientDisconnect
        return None
    finally:
        for task in (working, left, leaves):
            task.cancel()
        await asyncio.gather(working, left, leaves, return_exceptions=True)
