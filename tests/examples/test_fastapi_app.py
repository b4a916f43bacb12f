"""The FastAPI example, in uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.examples.conftest import answered, example, questions
from tests.support.client import connected
from tests.support.redis import free_port
from tests.support.replica import Replica, wait_until

SECONDS = 30.0


@pytest.fixture
async def shop(redis_url: str, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    port, log = free_port(), tmp_path / "uvicorn.log"
    with example(redis_url, log, "-m", "uvicorn", "fastapi_app:app", "--port", str(port)):
        await asyncio.to_thread(wait_until, lambda: "running on" in log.read_text(), SECONDS, "uvicorn listens")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client:
            yield client


async def test_an_endpoint_waits_for_the_answer_and_whoever_calls_again_has_the_same(
    fleet: list[Replica], shop: httpx2.AsyncClient
) -> None:
    async with connected(fleet[0].url, "dora") as dora:
        asking = asyncio.create_task(shop.post("/orders/7/refund", params={"approver": "dora"}))
        asked = await dora.until("task_step_result")
        asking.cancel()
        again = asyncio.create_task(shop.post("/orders/7/refund", params={"approver": "dora"}))
        await answered(dora, asked, proceed=True, feedback="paid twice")
        answer = await again
        late = await shop.post("/orders/7/refund", params={"approver": "dora"})
        assert questions(dora) == {asked["callback_id"]}

    assert answer.status_code == 200
    assert (answer.json()["proceed"], answer.json()["feedback"]) == (True, "paid twice")
    assert late.json() == answer.json()


async def test_a_question_that_was_begun_is_looked_at_until_it_is_answered(
    fleet: list[Replica], shop: httpx2.AsyncClient
) -> None:
    async with connected(fleet[1].url, "emil") as emil:
        begun = await shop.post("/questions", params={"approver": "emil", "message": "Ship it?"})
        place = f"/questions/{begun.json()['callback_id']}"
        asked = await emil.until("task_step_result")
        early = await shop.get(place, params={"wait": 0.1})
        looking = asyncio.create_task(shop.get(place))
        await answered(emil, asked, proceed=False)
        answer = await looking

    assert (begun.status_code, begun.json()["status"]) == (202, "pending")
    assert (early.status_code, early.json()) == (202, None)
    assert (answer.status_code, answer.json()["proceed"], answer.json()["responded_by"]) == (200, False, "emil")


async def test_what_was_never_asked_is_not_found(shop: httpx2.AsyncClient) -> None:
    answer = await shop.get("/questions/nothing")

    assert (answer.status_code, answer.json()["detail"][:25]) == (404, "there is no such question")
