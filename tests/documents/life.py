"""What goes on around a block while it runs: users who chat, come, go, and answer; a backend that sends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from websockets.exceptions import ConnectionClosed

import fairlead
from tests.support.client import Client, connected
from tests.support.replica import Replica

PAUSE_SECONDS = 0.1
SECONDS = 20.0

ANSWERS: dict[str, dict[str, Any]] = {
    "confirmation": {"proceed": True},
    "choice": {"choice": "retry"},
    "form": {"proceed": True, "content": {"start": "22:00"}},
}
"""What is answered to each kind of question."""


@contextmanager
def life(redis_url: str, fleet: Sequence[Replica]) -> Iterator[None]:
    """All of that, in a thread, for as long as the block lasts."""
    began, over = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def live() -> None:
        try:
            asyncio.run(_live(redis_url, fleet, began, over))
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            began.set()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        began.wait(SECONDS)
        assert not failed, failed
        yield
    finally:
        over.set()
        thread.join(SECONDS)
    assert not failed, failed


async def _live(redis_url: str, fleet: Sequence[Replica], began: threading.Event, over: threading.Event) -> None:
    async with fairlead.connect(redis_url, name="neighbours") as fl:
        await fl.grant_session("s1", ["42", "43"])
        turns = count()
        while not over.is_set():
            with suppress(ConnectionClosed):  # a block has ended it: 42 is back at once
                async with connected(fleet[1].url, "42") as ann:
                    await _chat(fl, ann, fleet, turns, began, over)


async def _chat(
    fl: fairlead.Backend,
    ann: Client,
    fleet: Sequence[Replica],
    turns: Iterator[int],
    began: threading.Event,
    over: threading.Event,
) -> None:
    await ann.ask("join_session", session_id="s1")
    answering = asyncio.create_task(_answer(ann))
    try:
        while not over.is_set():
            await _act(fl, ann, fleet, next(turns))
            began.set()
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        answering.cancel()
        await asyncio.wait([answering])
        if not answering.cancelled():
            answering.exception()  # it ended with the connection, which whoever acts is told as well


async def _answer(client: Client) -> None:
    """Acknowledge, and say yes to everything."""
    while True:
        frame = await client.next(3600)
        if frame.get("requires_ack"):
            await client.say("ack", message_ids=[frame["id"]])
        if frame["type"] == "task_step_result":
            await client.say("confirm", callback_id=frame["callback_id"], **ANSWERS[frame["confirm"]["kind"]])


async def _act(fl: fairlead.Backend, ann: Client, fleet: Sequence[Replica], turn: int) -> None:
    await fl.send_to_user("42", {"type": "report_ready", "content": {"report": turn}})
    await fl.send_to_topic("prices", {"type": "tick", "content": turn})
    await fl.send_to_topic("1", {"type": "news", "content": turn})
    if turn % 5 == 0:
        await fl.begin_ask("42", f"Go on with {turn}?", severity="danger", on_timeout="stop")
        with suppress(fairlead.Conflict):  # a block has ended it
            await fl.update_task("t1", progress=turn % 100, owner="42")
        await ann.say("message", session_id="s1", content=f"turn {turn}")
        async with connected(fleet[0].url, f"visitor-{turn}") as visitor:
            await visitor.say("quote", id="1", symbol="FL")
            await visitor.ask("ping")
