"""A LangGraph agent whose interrupts are asked of people, wherever they are, and answered with what they say."""

import asyncio

from langgraph.types import Command, Interrupt

import fairlead


async def run(graph, given, thread_id: str, user_id: str, fl: fairlead.Backend):
    """
    Run *graph* to its end; with *given* None, go on where a process was killed.

    ``interrupt({"message": "Deploy?", "severity": "danger"})`` in a node returns the answer as a dictionary; what
    `fl.ask` takes can be said in it. The same interrupt is the same question, in whatever process.
    """
    config = {"configurable": {"thread_id": thread_id}}

    async def ask(one: Interrupt):
        answer = await fl.ask(user_id, **one.value, idempotency_key=one.id)
        return one.id, answer.model_dump(mode="json")

    result = await graph.ainvoke(given, config)
    while interrupts := result.get("__interrupt__"):
        answers = dict(await asyncio.gather(*map(ask, interrupts)))
        result = await graph.ainvoke(Command(resume=answers), config)
    return result
