"""Every block of Python is run: before a real Redis, two replicas, and some life around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

import fairlead
from tests.documents.life import life
from tests.documents.pages import Block, blocks_in
from tests.documents.scenes import SCENES, play
from tests.documents.unrun import is_named
from tests.support.redis import Server
from tests.support.replica import Replica

ELSEWHERE = "run: smallest"
"""`test_smallest.py` is about that one."""

BLOCKS = [block for block in blocks_in("python") if block.note.startswith("run: ") and block.note != ELSEWHERE]


@pytest.fixture(scope="module", autouse=True)
def neighbours(server: Server, fleet: list[Replica]) -> Iterator[None]:
    with life(server.url, fleet):
        yield


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
async def test_a_block_runs(
    block: Block, server: Server, fleet: list[Replica], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    names = await play(block, server.url, fleet[0])

    if "manager" in names:
        async with names["manager"].lifespan(names["app"]):
            assert await names["answer"]({"symbol": "X"}, None) == {"symbol": "X", "price": 3.14}
    if "PAGE" in names:
        await its_token_connects(names["app"], fleet[0])


async def its_token_connects(app: FastAPI, replica: Replica) -> None:
    """What *app* gives as a token lets its user in, and into the session that it names."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://page") as http:
        page, minted = await http.get("/"), await http.post("/token")
    assert page.text.startswith("<!doctype html>")
    async with fairlead.Client(replica.url, token=minted.text) as client:
        await client.session("s1").join()
        assert client.user_id == "42"


def test_every_block_has_a_scene_is_an_example_or_is_named_with_a_reason() -> None:
    others = [block for block in blocks_in("python") if block not in BLOCKS and block.note != ELSEWHERE]
    examples = {path.read_text() for path in (Path(__file__).parents[2] / "deploy" / "examples").glob("*.py")}

    assert {block.note.removeprefix("run: ") for block in BLOCKS} <= set(SCENES)
    assert [block.place for block in others if block.text not in examples and not is_named(block)] == []


def test_what_a_block_calls_exists() -> None:
    assert {
        name for name in ("connect", "connect_sync", "Conflict", "FairleadError") if not hasattr(fairlead, name)
    } == set()
