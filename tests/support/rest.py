"""The HTTP interface of a replica, as an operator's script uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.support.replica import Replica, token

PREFIX = "/api/v1/websocket"
SECONDS = 15.0


class Rest:
    """One caller with a token, or without."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def ask(self, method: str, path: str, body: object = None, **query: Any) -> tuple[int, Any]:
        """The status and the JSON that *method* on *path*, below the prefix, is answered with; None for no body."""
        content = {} if body is None else {"json": body}
        answer = await self._http.request(method, PREFIX + path, params=query or None, **content)
        return answer.status_code, answer.json() if answer.content else None

    async def get(self, path: str, **query: Any) -> Any:
        """What a GET that must succeed is answered with."""
        return self._good(await self.ask("GET", path, **query))

    async def post(self, path: str, body: object = None, **query: Any) -> Any:
        """What a POST that must succeed is answered with."""
        return self._good(await self.ask("POST", path, {} if body is None else body, **query))

    async def refused(self, method: str, path: str, body: object = None, **query: Any) -> tuple[int, str]:
        """Status and title of the problem that a request must end in."""
        status, problem = await self.ask(method, path, body, **query)
        assert status >= 400, f"{method} {path} was answered {status} {problem}"
        return status, problem["title"]

    @staticmethod
    def _good(answer: tuple[int, Any]) -> Any:
        status, found = answer
        assert status < 300, f"answered {status} {found}"
        return found


@asynccontextmanager
async def rest(replica: Replica, role: str = "viewer", user: str = "operator", **grants: Any) -> AsyncIterator[Rest]:
    """*replica* as *user* with *role* finds it; without a user there is no token."""
    headers: Mapping[str, str] = {"authorization": f"Bearer {token(user, role=role, **grants)}"} if user else {}
    async with httpx2.AsyncClient(base_url=replica.http, headers=headers, timeout=SECONDS) as http:
        yield Rest(http)
