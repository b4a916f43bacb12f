"""What stands around a block of Python when it is run: the names that it uses without making them, and its end."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from redis import Redis

import fairlead
from fairlead.names import Names
from tests.documents.pages import Block
from tests.support.replica import SECRET, Replica, token

REDIS = "redis://127.0.0.1:6379/0"
SOCKET = "ws://127.0.0.1:8000/ws"
SECRET_SHOWN = "…"

SECONDS = 20.0
MOMENT_SECONDS = 1.0
POLL_SECONDS = 0.02


class Play(NamedTuple):
    """The names of a scene; and, for blocks that would go on for ever, whether enough was done."""

    names: dict[str, Any]
    has_ended: Callable[[], bool] | None = None


class Noted(list[Any]):
    """Takes whatever it is called with."""

    def __call__(self, *said: Any) -> None:
        self.append(said)


@asynccontextmanager
async def backend(redis_url: str) -> AsyncIterator[Play]:
    """`fl`, and what a page of a cookbook takes for granted."""
    async with fairlead.connect(redis_url, name="docs") as fl:
        sent = await fl.send_to_session("s1", {"type": "new_message", "content": "hello"})
        await fl.set_state("counter", {"state": {"tmp": 1, "params": {"count": 41}}})
        yield Play({"fl": fl, "devices": ["switch-01", "switch-02"], "message_id": sent.id})


@asynccontextmanager
async def backends_that_hear(redis_url: str) -> AsyncIterator[Play]:
    """A backend in a group; it has heard enough when something was handled: when it asked for more."""

    async def seen(user_id: str, at: datetime) -> None:
        assert user_id and at

    names = Names()
    with Redis.from_url(redis_url) as redis:

        def handled() -> int:
            """Entries that groups have read and acknowledged."""
            streams = [stream for stream in (names.events, names.inbound) if redis.exists(stream)]
            groups = [one for stream in streams for one in redis.xinfo_groups(stream)]
            return sum(int(one["entries-read"] or 0) - int(one["pending"]) for one in groups)

        before = handled()
        async with fairlead.connect(redis_url, name="docs") as fl:
            yield Play({"fl": fl, "crm": SimpleNamespace(seen=seen)}, lambda: handled() >= before + 2)


@asynccontextmanager
async def client(redis_url: str) -> AsyncIterator[Play]:
    """A user's program, which goes on until it has shown something."""
    async with client_to_its_end(redis_url) as scene:
        yield scene._replace(has_ended=lambda: bool(scene.names["show"]))


@asynccontextmanager
async def client_to_its_end(redis_url: str) -> AsyncIterator[Play]:
    """A user's program: it has a token, and shows what it hears."""
    shown = Noted()
    async with fairlead.connect(redis_url) as fl:
        await fl.set_state("counter", {"state": {"params": {"count": 41}}})
    yield Play({"new_token": lambda reason: token("42"), "show": shown, "reload": Noted()})
    assert shown


@asynccontextmanager
async def embedded(redis_url: str) -> AsyncIterator[Play]:
    """An application of one's own."""
    yield Play({})


@asynccontextmanager
async def own_page(redis_url: str) -> AsyncIterator[Play]:
    """A server of one's own, in whose environment is the gateway's secret."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRLEAD_JWT_SECRET", SECRET)
        yield Play({})


SCENES = {
    "backend": backend,
    "backends that hear": backends_that_hear,
    "client": client,
    "client to its end": client_to_its_end,
    "embedded": embedded,
    "own page": own_page,
}

ALWAYS: dict[str, Any] = {"fairlead": fairlead, "asyncio": asyncio, "json": json, "Path": Path, "FastAPI": FastAPI}


async def play(block: Block, redis_url: str, replica: Replica) -> dict[str, Any]:
    """
    Run *block* in the scene that its note names; returns its names.

    One that would go on for ever is ended when the scene has; any other must end by itself.
    """
    source = block.text.replace(REDIS, redis_url).replace(SOCKET, replica.url).replace(SECRET_SHOWN, SECRET)
    code = compile(source, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with SCENES[block.note.removeprefix("run: ")](redis_url) as scene:
        names = ALWAYS | scene.names
        running = asyncio.ensure_future(_run(code, names))
        try:
            async with asyncio.timeout(SECONDS):
                await (running if scene.has_ended is None else _until(scene.has_ended, running))
        finally:
            running.cancel()
            await asyncio.wait([running])
            for made in names.values():
                if isinstance(made, fairlead.Client):
                    await made.close()
        return names


async def _until(has_ended: Callable[[], bool], running: asyncio.Future[None]) -> None:
    """Return when enough was done, and the rest of what runs has had a moment to end by itself."""
    while not has_ended():
        if running.done():
            running.result()
        await asyncio.sleep(POLL_SECONDS)
    done, _ = await asyncio.wait([running], timeout=MOMENT_SECONDS)
    for one in done:
        one.result()


async def _run(code: Any, names: dict[str, Any]) -> None:
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result
