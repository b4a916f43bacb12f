"""The MCP example: real servers ask a real client, and a person answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from deploy.examples.mcp_elicitation import elicitation
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.server.mcpserver import Elicit, ElicitationResult, MCPServer, Resolve
from mcp.types import ElicitRequestFormParams, ElicitRequestURLParams, ElicitResult, ErrorData
from pydantic import BaseModel, Field

from fairlead.backend.backend import Backend
from tests.examples.conftest import answered
from tests.support.client import connected
from tests.support.replica import Replica

NOWHERE = object.__new__(ClientRequestContext)
"""What a callback is told of its connection, which ours does not look at."""

FORM = {"type": "object", "properties": {"guests": {"type": "integer"}}}


class Booking(BaseModel):
    guests: int = Field(ge=1, title="Guests")
    table: Literal["inside", "outside"] = "inside"
    remark: str | None = Field(None, max_length=80)


restaurant = MCPServer("restaurant")


async def how_many() -> Elicit[Booking]:
    return Elicit("How many guests?", Booking)


@restaurant.tool()
async def book(booking: Annotated[ElicitationResult[Booking], Resolve(how_many)]) -> str:
    return f"accept {booking.data.model_dump()}" if booking.action == "accept" else booking.action


ANSWERS: Mapping[str, tuple[dict[str, Any], str]] = {
    "accept": (
        {"proceed": True, "content": {"guests": 4, "table": "outside"}},
        "accept {'guests': 4, 'table': 'outside', 'remark': None}",
    ),
    "decline": ({"proceed": False}, "decline"),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("version", ["legacy", "2026-07-28"])
async def test_what_a_server_wants_to_know_a_person_says(
    fleet: list[Replica], fl: Backend, version: str, answer: str
) -> None:
    said, result = ANSWERS[answer]
    async with (
        connected(fleet[0].url, "hana") as hana,
        Client(restaurant, elicitation_callback=elicitation(fl, "hana"), mode=version) as client,
    ):
        booking = asyncio.create_task(client.call_tool("book"))
        asked = await hana.until("task_step_result")
        await answered(hana, asked, **said)

        assert str((await booking).content[0].text) == result
    assert asked["confirm"]["schema"]["properties"]["guests"]["minimum"] == 1


async def test_a_question_that_is_over_without_an_answer_is_cancelled(fleet: list[Replica], fl: Backend) -> None:
    asked = ElicitRequestFormParams(message="How many?", requested_schema=FORM)
    async with connected(fleet[1].url, "ivo") as ivo:
        asking = asyncio.create_task(elicitation(fl, "ivo")(NOWHERE, asked))
        question = await ivo.until("task_step_result")
        assert await fl.cancel_ask(question["callback_id"])

        assert await asking == ElicitResult(action="cancel")


@pytest.mark.parametrize(
    "asked",
    [
        ElicitRequestFormParams(
            message="?", requested_schema={"type": "object", "properties": {"a": {"type": "array"}}}
        ),
        ElicitRequestURLParams(message="?", url="https://example.org", elicitation_id="1"),
    ],
    ids=["no plain fields", "url"],
)
async def test_what_cannot_be_asked_is_refused(fl: Backend, asked: Any) -> None:
    refused = await elicitation(fl, "ivo")(NOWHERE, asked)

    assert isinstance(refused, ErrorData)
    assert "form" in refused.message
