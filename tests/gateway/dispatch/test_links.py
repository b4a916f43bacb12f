"""A replica that is connected but not fed finds out and recovers; a connection that dies badly harms nobody (R1)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from fairlead.names import Names
from fairlead.redis.shards import open_shards
from fairlead_gateway.dispatch import links as module
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.link import Link
from fairlead_gateway.dispatch.links import Links, place_in
from fairlead_gateway.dispatch.reader import Heard
from fairlead_gateway.facts.lane import Lane
from tests.gateway.patience import until
from tests.support.redis import Server

NAMES = Names("links")


class Hearing:
    """Links that run over *url*, what they hear, and a way to make them deaf."""

    def __init__(self, url: str) -> None:
        self.shards = open_shards(url, NAMES)
        self.lane = Lane(self.shards)
        self.interest = Interest(NAMES, lambda channel: True, place=place_in(self.shards))
        self.heard: list[bytes] = []
        self.is_starved = False
        self.links = Links(self.shards, self.interest, self._hear, self._probe, NAMES, "r1")

    def _hear(self, batch: Heard) -> None:
        for name, payloads in batch.items():
            self.heard += payloads
            self.links.probed(name)

    def _probe(self, name: bytes) -> asyncio.Future[object]:
        return self.lane.call("PUBLISH", b"nowhere" if self.is_starved else name, "1")

    @property
    def link(self) -> Link:
        (ear,) = self.links._ears.values()
        return ear.link


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[Hearing]:
    ear = Hearing(url)
    task = asyncio.create_task(ear.links.run())
    try:
        await until(lambda: ear.links.is_up and ear.links.hears_itself, 10, "the links are up")
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ear.lane.aclose()
        await ear.shards.aclose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(module, "DROP_SECONDS", 0.6)


async def test_a_link_that_is_up_but_not_fed_is_found_out_and_made_anew(redis_url: str, impatient: None) -> None:
    async with hearing(redis_url) as ear:
        ear.is_starved = True

        await until(lambda: not ear.links.hears_itself, 5, "silence is noticed")
        still_up = ear.links.is_up
        await until(lambda: ear.link.losses == 1, 5, "the link is dropped")
        ear.is_starved = False
        await until(lambda: ear.links.is_up and ear.links.hears_itself, 5, "it recovers")

        assert still_up


async def test_a_link_is_not_to_blame_when_redis_takes_no_probe(own_server: Server, impatient: None) -> None:
    async with hearing(own_server.url) as ear:
        own_server.freeze()
        await until(lambda: not ear.links.hears_itself, 5, "silence is noticed")
        own_server.thaw()
        await until(lambda: ear.links.hears_itself, 5, "it hears itself again")

        assert ear.link.losses == 0


@pytest.mark.parametrize(
    "death",
    [
        lambda reader: reader._transport.abort(),
        lambda reader: reader._transport._force_close(OSError(errno.ETIMEDOUT, "Connection timed out")),
        lambda reader: reader._transport._force_close(TimeoutError(errno.ETIMEDOUT, "Connection timed out")),
    ],
)
async def test_a_connection_that_times_out_neither_freezes_the_loop_nor_stays_deaf(
    redis_url: str, redis: Redis, death: Callable[[object], None]
) -> None:
    """redis-py 8.1 takes the kernel's ETIMEDOUT for its caller's timeout, for ever and without yielding."""
    async with hearing(redis_url) as ear:
        async with asyncio.timeout(5):
            await ear.interest.want("user:1")
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.005)

        counting = asyncio.create_task(count())
        death(ear.link._reader)
        await until(lambda: ear.link.losses == 1 and ear.link.is_up, 5, "the link is back")
        before = turns
        await until(lambda: turns > before + 5, 2, "the loop turns")
        counting.cancel()
        await redis.publish(NAMES.pubsub("user:1"), b"again")
        await until(lambda: b"again" in ear.heard, 5, "it is heard again")
