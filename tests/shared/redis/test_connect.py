from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError

from fairlead.names import PARTITIONS, Names
from fairlead.redis.connect import open_async, open_sync
from fairlead.redis.greeting import Greeting, WrongLayout, greeting_of
from tests.support.redis import Server

SECRET = "canary-4711"


async def test_the_term_of_every_partition_is_written_before_the_first_command(redis: Redis, names: Names) -> None:
    info = await redis.info("replication")

    terms = await redis.mget(names.term(partition) for partition in range(PARTITIONS))

    assert set(terms) == {info["master_replid"][:12].encode()}
    assert await redis.get(names.layout) == str(PARTITIONS).encode()


async def test_a_term_that_belongs_to_another_master_is_replaced(redis_url: str, redis: Redis, names: Names) -> None:
    term = await redis.get(names.term(7))
    await redis.set(names.term(7), "of-another")

    later = open_async(redis_url, names)
    await later.ping()
    await later.aclose()

    assert await redis.get(names.term(7)) == term
    assert await redis.ttl(names.term(7)) == -1


async def test_a_replica_is_refused_by_both_clients(own_server: Server, names: Names) -> None:
    with Server("--replicaof", "127.0.0.1", str(own_server.port)) as replica:
        client, sync = open_async(replica.url, names), open_sync(replica.url, names)

        with pytest.raises(ReadOnlyError, match="replica"):
            await client.ping()
        with pytest.raises(ReadOnlyError, match="replica"):
            sync.ping()
        await client.aclose()
        sync.close()


async def test_another_number_of_partitions_is_refused_by_both_clients(
    redis_url: str, redis: Redis, names: Names
) -> None:
    await redis.set(names.layout, 64)
    client, sync = open_async(redis_url, names), open_sync(redis_url, names)

    with pytest.raises(WrongLayout, match="64"):
        await client.ping()
    with pytest.raises(WrongLayout, match="64"):
        sync.ping()
    await client.aclose()
    sync.close()


async def test_connections_carry_our_name(redis_url: str, names: Names) -> None:
    client = open_async(redis_url, names, client_name="fairlead replica 1")

    assert await client.client_getname() == "fairlead-replica-1"

    await client.aclose()


async def test_a_password_shows_in_no_repr_error_or_log(caplog: pytest.LogCaptureFixture, names: Names) -> None:
    caplog.set_level(logging.DEBUG)
    with Server("--requirepass", "another") as server:
        url = f"redis://:{SECRET}@127.0.0.1:{server.port}/0"
        client, sync = open_async(url, names), open_sync(url, names)
        told = [repr(client), repr(client.connection_pool), repr(sync), repr(sync.connection_pool)]

        with pytest.raises(redis.exceptions.RedisError) as refused:
            await client.ping()
        with pytest.raises(redis.exceptions.RedisError) as refused_sync:
            sync.ping()
        told += [repr(refused.value), repr(refused_sync.value), caplog.text]
        await client.aclose()
        sync.close()

    assert SECRET not in "".join(told)


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@localhost",
        f"{SECRET}",
        f"redis://:{SECRET}@localhost:port",
        f"redis://:{SECRET}@a,redis://:{SECRET}@b",
        f"redis://:{SECRET}@[::1",
        f"redis://:{SECRET}@localhost/0?no_such_option=1",
        "",
    ],
)
def test_what_is_no_url_is_refused_at_once_without_repeating_it(url: str, names: Names) -> None:
    for connect in (open_async, open_sync):
        with pytest.raises(ValueError, match="not the URL of one Redis") as caught:
            connect(url, names)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None


def test_tls_checks_the_host_name_unless_switched_off(names: Names) -> None:
    checked = open_async("rediss://localhost", names).connection_pool.connection_kwargs
    unchecked = open_async("rediss://localhost?ssl_cert_reqs=none", names).connection_pool.connection_kwargs

    assert checked["ssl_check_hostname"] is True
    assert "ssl_check_hostname" not in unchecked


async def test_credentials_of_every_form_of_url_are_used(names: Names) -> None:
    with Server("--requirepass", "p@ss/w:rd") as server:
        for url in (
            f"redis://:p%40ss%2Fw%3Ard@127.0.0.1:{server.port}/0",
            f"redis://default:p%40ss%2Fw%3Ard@127.0.0.1:{server.port}",
            f"redis://127.0.0.1:{server.port}/0?password=p%40ss%2Fw%3Ard",
        ):
            client, sync = open_async(url, names), open_sync(url, names)
            assert await client.ping()
            assert sync.ping()
            await client.aclose()
            sync.close()


async def test_a_unix_socket_can_be_named(names: Names, tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with Server("--unixsocket", str(path)):
        client, sync = open_async(f"unix://{path}", names), open_sync(f"unix://{path}?db=2", names)

        assert await client.ping()
        assert sync.ping()
        await client.aclose()
        sync.close()


async def test_a_task_that_asks_again_and_again_can_be_cancelled_at_every_step(redis: Redis) -> None:
    async def ask_for_ever() -> None:
        while True:
            await redis.ping()

    await redis.ping()
    for steps in range(60):
        task = asyncio.create_task(ask_for_ever())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()

        done, _ = await asyncio.wait([task], timeout=1)

        assert done, f"cancelled after {steps} steps, and still asking"


async def test_whoever_needs_one_connection_too_many_waits(redis_url: str, names: Names) -> None:
    client = open_async(redis_url, names, max_connections=1)
    async with client.client() as lender:
        await lender.ping()
        waiting = asyncio.ensure_future(client.ping())
        await lender.ping()
        assert not waiting.done()

    assert await waiting is True
    await client.aclose()


def test_a_client_that_was_not_greeted_is_told_apart(names: Names) -> None:
    with pytest.raises(TypeError, match="greet"):
        greeting_of(redis.Redis())

    assert isinstance(greeting_of(open_sync("redis://localhost", names)), Greeting)
