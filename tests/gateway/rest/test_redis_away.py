"""While Redis is away every route says so, or answers without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import PREFIX, Row
from fairlead_gateway.rest.table import ROWS
from tests.gateway.rest.callers import headers_of
from tests.support.redis import Server
from tests.support.replica import replicas

SECONDS = 9.5
"""Longer than anybody is to be kept waiting, and less than most clients wait."""


@pytest.mark.parametrize("goes", [Server.stop, Server.freeze], ids=["gone", "frozen"])
async def test_who_asks_is_told_to_come_back(own_server: Server, goes: Callable[[Server], None]) -> None:
    with replicas(1, own_server.url, "away") as (replica,):
        goes(own_server)
        async with httpx2.AsyncClient(
            base_url=replica.http + PREFIX, headers=headers_of(Rank.ADMIN), timeout=SECONDS
        ) as http:

            async def asked(row: Row) -> tuple[Row, httpx2.Response]:
                path = row.path
                for name in row.in_path:
                    path = path.replace(f"{{{name}}}", "nobody")
                return row, await http.request(row.method, path, **({} if row.method == "GET" else {"json": {}}))

            answers = await asyncio.gather(*map(asked, ROWS))
        faults = [event for event in replica.events() if event["event"] == "request failed"]

    for row, answer in answers:
        assert answer.status_code < 500 or answer.status_code == 503, (row.path, answer.text)
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["title"] == "unavailable"
    assert {row.path for row, answer in answers if answer.status_code == 503} >= {"/connections", "/audit", "/history"}
    assert faults == []
