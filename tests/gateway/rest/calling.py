"""A replica inside the loop of a test, as callers of its HTTP interface find it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.gateway.running import Gateway
from tests.support.replica import token
from tests.support.rest import SECONDS, Rest


@asynccontextmanager
async def calling(
    gateway: Gateway, role: str = "", user: str = "caller", *, bearer: str | None = None, **grants: Any
) -> AsyncIterator[Rest]:
    """Whoever has the token *bearer*, or a good one of *user* with *role*; nobody where *bearer* is empty."""
    bearer = token(user, role=role, **grants) if bearer is None else bearer
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{gateway.port}", headers=headers, timeout=SECONDS
    ) as http:
        yield Rest(http)
