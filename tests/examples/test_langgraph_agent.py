"""The LangGraph example, with real graphs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any, TypedDict

import pytest
from deploy.examples.langgraph_agent import run
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from fairlead.backend.backend import Backend
from tests.examples.conftest import answered, questions
from tests.support.client import Client, Frame, connected
from tests.support.replica import Replica


class State(TypedDict):
    said: Annotated[list[Any], lambda before, more: before + more]


def deploy(state: State) -> State:
    """Asks twice, one after the other."""
    first = interrupt({"message": "Deploy?", "severity": "danger"})
    second = interrupt({"message": "Where?", "choices": [{"value": "eu", "label": "EU"}]})
    return {"said": [first["proceed"], second["choice"]]}


def announce(state: State) -> State:
    return {"said": [interrupt({"message": "Announce?"})["feedback"]]}


@pytest.fixture
def graph() -> Any:
    builder = StateGraph(State).add_node(deploy).add_node(announce)
    return builder.add_edge(START, "deploy").add_edge(START, "announce").compile(checkpointer=InMemorySaver())


async def shown(client: Client, count: int) -> dict[str, Frame]:
    """The next questions, by what they say."""
    asked = [await client.until("task_step_result") for _ in range(count)]
    return {one["confirm"]["message"]: one for one in asked}


async def test_interrupts_are_asked_and_go_on_with_what_people_say(
    fleet: list[Replica], fl: Backend, graph: Any
) -> None:
    async with connected(fleet[0].url, "fay") as fay:
        running = asyncio.create_task(run(graph, {"said": []}, "t-1", "fay", fl))
        asked = await shown(fay, 2)
        await answered(fay, asked["Deploy?"], proceed=True)
        await answered(fay, asked["Announce?"], proceed=True, feedback="loudly")
        asked = await shown(fay, 1)
        await answered(fay, asked["Where?"], choice="eu")

        assert sorted((await running)["said"], key=str) == [True, "eu", "loudly"]


async def test_a_run_that_was_killed_goes_on_with_the_same_question(
    fleet: list[Replica], fl: Backend, graph: Any
) -> None:
    async with connected(fleet[1].url, "gus") as gus:
        killed = asyncio.create_task(run(graph, {"said": []}, "t-2", "gus", fl))
        asked = await shown(gus, 2)
        killed.cancel()
        with suppress(asyncio.CancelledError):
            await killed

        resumed = asyncio.create_task(run(graph, None, "t-2", "gus", fl))
        await answered(gus, asked["Announce?"], proceed=True, feedback="quietly")
        await answered(gus, asked["Deploy?"], proceed=False)
        asked = await shown(gus, 1)
        await answered(gus, asked["Where?"], choice="eu")

        assert sorted((await resumed)["said"], key=str) == [False, "eu", "quietly"]
        assert len(questions(gus)) == 3
