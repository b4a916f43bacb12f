"""The client that the protocol page writes without a library does what the page says of it."""

from __future__ import annotations

import asyncio
from typing import Any

import fairlead
from tests.documents.pages import blocks_in
from tests.support.replica import Replica, token
from tests.support.rest import rest

SECONDS = 20.0
USER = "small"


def written() -> dict[str, Any]:
    """What the block defines."""
    (block,) = [block for block in blocks_in("python") if block.note == "run: smallest"]
    names: dict[str, Any] = {}
    exec(compile(block.text, block.place, "exec"), names)
    return names


async def until_shown(shown: list[dict[str, Any]], count: int) -> None:
    async with asyncio.timeout(SECONDS):
        while sum(frame["type"] == "hello" for frame in shown) < count:
            await asyncio.sleep(0.01)


async def test_it_comes_back_misses_nothing_and_stops_when_it_is_told(redis_url: str, fleet: list[Replica]) -> None:
    shown: list[dict[str, Any]] = []
    tokens: list[str] = []
    replica = fleet[0]

    def new_token() -> str:
        tokens.append(token(USER))
        return tokens[-1]

    staying = asyncio.create_task(written()["stay"](replica.host, replica.port, new_token, shown.append))
    async with fairlead.connect(redis_url) as fl, rest(replica, "operator") as operator:
        while not await fl.is_online(USER):
            await asyncio.sleep(0.01)
        for number in range(1, 4):
            await fl.send_to_user(USER, {"type": "hello", "content": number})
        await until_shown(shown, 3)
        await operator.post("/users/disconnect", {"user_id": USER, "code": 4200})
        for number in range(4, 7):
            await fl.send_to_user(USER, {"type": "hello", "content": number})
        await until_shown(shown, 6)
        await operator.post("/users/disconnect", {"user_id": USER, "code": 4401})
        await fl.send_to_user(USER, {"type": "hello", "content": 7})
        await until_shown(shown, 7)
        await operator.post("/users/disconnect", {"user_id": USER, "reason": "enough"})
        ended = await asyncio.wait_for(staying, SECONDS)

    assert [frame["content"] for frame in shown if frame["type"] == "hello"] == [1, 2, 3, 4, 5, 6, 7]
    assert [frame["type"] for frame in shown].count("connection_established") == 3
    assert len(tokens) == 2
    assert ended == (4003, "kicked: enough")
