"""The client in a real page, loaded from a replica: of the same origin, and of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.support.browser import BINARY, Page
from tests.support.replica import Replica, replicas, token

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

TALK = """
import("/static/fairlead.js").then(async ({{ Client }}) => {{
  const before = new Set(Reflect.ownKeys(globalThis));
  const client = new Client("/ws", {{ token: "{token}" }});
  const states = [];
  client.onState(({{ state }}) => states.push(state));
  await client.connect();
  const {{ count }} = await client.request("presence", {{ channel: "user:" + client.userId }});
  client.close();
  return {{ user: client.userId, count, states, left: Reflect.ownKeys(globalThis).filter((key) => !before.has(key)) }};
}})
"""


@pytest.fixture(scope="module")
def replica(redis_url: str) -> Iterator[Replica]:
    with replicas(1, redis_url, "tjs-page") as (one,):
        yield one


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab


async def test_a_page_of_the_gateway_connects_by_a_path(page: Page, replica: Replica) -> None:
    await page.open(f"{replica.http}/dashboard")

    said = await page.evaluate(TALK.format(token=token("page-1")))

    assert said == {"user": "page-1", "count": 1, "states": ["connecting", "open", "stopped"], "left": []}


@asynccontextmanager
async def another_origin() -> AsyncIterator[str]:
    """The address of a page that is none of ours."""
    page = b"<!doctype html><title>elsewhere</title><link rel=icon href='data:,'>"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(page)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + page)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_page_of_another_origin_may_import_it(page: Page, replica: Replica) -> None:
    async with another_origin() as address:
        await page.open(address)

        url = f"{replica.http}/static/fairlead.js"
        names = await page.evaluate(f"import('{url}').then((all) => Object.keys(all).sort())")

    assert names == ["Client", "FairleadError", "Instance", "Session", "Task", "default"]
    assert page.complaints == []
