"""The ear of a replica on a real server: what is published is heard in order, and a lost link comes back by itself."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from fairlead.names import Names
from fairlead_gateway.dispatch import link as module
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.link import Link
from fairlead_gateway.dispatch.reader import Heard
from tests.gateway.patience import until
from tests.support.redis import Server

NAMES = Names("ear")


class Ear:
    """A link that runs, and what it heard."""

    def __init__(self, url: str) -> None:
        self.heard: dict[bytes, list[bytes]] = {}
        self.batches = 0
        self.interest = Interest(NAMES, lambda channel: True, NAMES.probe("r1"))
        self.link = Link(url, self.interest, self._hear, "ear")

    def _hear(self, batch: Heard) -> None:
        self.batches += 1
        for name, payloads in batch.items():
            self.heard.setdefault(name, []).extend(payloads)

    def on(self, channel: str) -> list[bytes]:
        return self.heard.get(NAMES.pubsub(channel).encode(), [])

    async def want(self, *channels: str) -> None:
        async with asyncio.timeout(10):
            await self.interest.want(*channels)

    async def up(self, seconds: float = 10.0) -> None:
        await until(lambda: self.link.is_up, seconds, "the link is up")


@asynccontextmanager
async def listening(url: str, *channels: str) -> AsyncIterator[Ear]:
    """An ear that hears *channels*."""
    ear = Ear(url)
    task = asyncio.create_task(ear.link.run())
    try:
        await ear.want(*channels)
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def client(server: Server | str) -> AsyncIterator[Redis]:
    redis = Redis.from_url(server if isinstance(server, str) else server.url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def test_what_is_published_is_heard_whole_and_in_order_on_each_channel(redis_url: str) -> None:
    async with listening(redis_url, "topic:a", "topic:b") as ear, client(redis_url) as redis:
        pipeline = redis.pipeline(transaction=False)
        for number in range(1500):
            pipeline.publish(NAMES.pubsub("topic:a"), b"%d" % number)
            pipeline.publish(NAMES.pubsub("topic:b"), b"x" * number)
        await pipeline.execute()
        await until(lambda: len(ear.on("topic:a")) + len(ear.on("topic:b")) >= 3000, 10)

        assert ear.on("topic:a") == [b"%d" % number for number in range(1500)]
        assert ear.on("topic:b") == [b"x" * number for number in range(1500)]
        assert ear.batches < 3000


async def test_what_nobody_here_wants_is_not_heard(redis_url: str) -> None:
    async with listening(redis_url, "topic:a") as ear, client(redis_url) as redis:
        await redis.publish(NAMES.pubsub("topic:b"), b"other")
        await redis.publish(NAMES.pubsub("topic:a"), b"mine")
        await until(lambda: ear.on("topic:a"))

        assert list(ear.heard) == [NAMES.pubsub("topic:a").encode()]


async def test_several_thousand_channels_are_heard_after_one_want(redis_url: str) -> None:
    channels = [f"user:{number}" for number in range(3000)]

    async with listening(redis_url, *channels) as ear, client(redis_url) as redis:
        receivers = await redis.publish(NAMES.pubsub("user:2999"), b"last")

        assert receivers == 1
        assert ear.link.is_up


async def test_a_killed_subscription_comes_back_by_itself_and_hears_again(own_server: Server) -> None:
    async with listening(own_server.url, "topic:a") as ear, client(own_server) as redis:
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: ear.link.losses == 1)
        await ear.up()
        await redis.publish(NAMES.pubsub("topic:a"), b"again")

        await until(lambda: ear.on("topic:a") == [b"again"])


async def test_a_server_that_was_away_is_heard_again_with_everything_wanted_meanwhile(own_server: Server) -> None:
    async with listening(own_server.url, "topic:a") as ear:
        own_server.stop()
        await until(lambda: not ear.link.is_up)
        meanwhile = asyncio.create_task(ear.want("topic:b"))
        await asyncio.sleep(0)
        own_server.start()

        async with asyncio.timeout(10):
            await meanwhile
        await ear.up()
        async with client(own_server) as redis:
            for channel in ("topic:a", "topic:b"):
                assert await redis.publish(NAMES.pubsub(channel), b"again") == 1
            await until(lambda: ear.on("topic:a") == ear.on("topic:b") == [b"again"])


async def test_a_server_that_is_not_there_yet_is_waited_for_and_said_once() -> None:
    with Server() as server:
        server.stop()
        with capture_logs() as logs:
            ear = Ear(server.url)
            task = asyncio.create_task(ear.link.run())
            try:
                await until(lambda: logs, what="the outage is logged")
                server.start()
                await ear.up()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    assert [entry["event"] for entry in logs] == ["redis cannot be heard", "listening to redis"]


async def test_a_frozen_server_is_found_dead_within_eight_seconds_and_heard_again_when_it_thaws(
    own_server: Server,
) -> None:
    async with listening(own_server.url, "topic:a") as ear:
        own_server.freeze()
        frozen_at = time.monotonic()
        try:
            await until(lambda: ear.link.losses == 1, 10, "the frozen server is given up")
            found_after = time.monotonic() - frozen_at
            assert not ear.link.is_up
        finally:
            own_server.thaw()
        await ear.up()

        assert found_after < 8
        async with client(own_server) as redis:
            assert await redis.publish(NAMES.pubsub("topic:a"), b"again") >= 1
            await until(lambda: ear.on("topic:a") == [b"again"])


async def test_while_held_nothing_is_heard_and_afterwards_everything_without_a_loss(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_SECONDS", 0.05)
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 0.2)
    async with listening(own_server.url, "topic:a") as ear, client(own_server) as redis:
        ear.link.hold()
        for number in range(50):
            await redis.publish(NAMES.pubsub("topic:a"), b"%d" % number)
        held_since = time.monotonic()
        await until(lambda: time.monotonic() - held_since > 0.5)
        heard_while_held = list(ear.on("topic:a"))
        ear.link.release()
        await until(lambda: len(ear.on("topic:a")) == 50)

        assert heard_while_held == []
        assert ear.on("topic:a") == [b"%d" % number for number in range(50)]
        assert ear.link.losses == 0


async def test_a_password_is_given() -> None:
    with Server("--requirepass", "s3cret:/@") as server:
        url = f"redis://:s3cret%3A%2F%40@127.0.0.1:{server.port}/0"
        async with listening(url, "topic:a") as ear, client(url) as redis:
            await redis.publish(NAMES.pubsub("topic:a"), b"hello")

            await until(lambda: ear.on("topic:a") == [b"hello"])


async def test_a_wrong_password_is_logged_without_being_shown_and_the_right_one_taken_later() -> None:
    with Server("--requirepass", "old-one") as server, capture_logs() as logs:
        ear = Ear(f"redis://:new-one@127.0.0.1:{server.port}/0")
        task = asyncio.create_task(ear.link.run())
        try:
            await until(lambda: logs, what="the refusal is logged")
            async with client(f"redis://:old-one@127.0.0.1:{server.port}/0") as redis:
                await redis.config_set("requirepass", "new-one")
            await ear.up()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    assert "WRONGPASS" in str(logs[0])
    assert "new-one" not in str(logs)


async def test_an_acl_user_hears_what_it_may_and_is_told_in_the_log_what_it_may_not(own_server: Server) -> None:
    async with client(own_server) as admin:
        await admin.execute_command("ACL", "SETUSER", "replica", "on", ">word", "resetchannels", "&ear:*", "+@all")
        await admin.execute_command("ACL", "SETUSER", "blind", "on", ">word", "resetchannels", "+@all")
    with capture_logs() as logs:
        async with listening(f"redis://replica:word@127.0.0.1:{own_server.port}/0", "topic:a") as ear:
            assert ear.link.is_up
        ear = Ear(f"redis://blind:word@127.0.0.1:{own_server.port}/0")
        task = asyncio.create_task(ear.link.run())
        try:
            await until(lambda: any("NOPERM" in str(entry) for entry in logs), what="the refusal is logged")
            assert not ear.link.is_up
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_unix_socket_serves_as_well() -> None:
    with tempfile.TemporaryDirectory(prefix="fl-") as directory:
        path = Path(directory) / "redis.sock"
        with Server("--unixsocket", str(path)) as server:
            async with listening(f"unix://{path}", "topic:a") as ear, client(server) as redis:
                await redis.publish(NAMES.pubsub("topic:a"), b"hello")

                await until(lambda: ear.on("topic:a") == [b"hello"])
