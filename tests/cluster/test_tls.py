"""Redis behind TLS (DEP-3, T19): believed only with the right name and authority, by every connection we make."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import fairlead
from tests.support.certificates import Authority
from tests.support.client import connected
from tests.support.redis import Server, debian_binary, free_port
from tests.support.replica import Replica, replicas, wait_until

HOST = "localhost"


class Guarded:
    """A server that speaks TLS beside its plain port, with a certificate for `HOST` alone."""

    def __init__(self, directory: Path, *, asks_for_certificates: bool = False) -> None:
        binary = debian_binary()
        if binary is None:
            pytest.skip("needs Debian's redis-server, which can TLS")
        self.authority = Authority(directory)
        self.port = free_port()
        pem = self.authority.sign("server", [HOST])
        self.server = Server(
            *("--tls-port", str(self.port), "--tls-ca-cert-file", str(self.authority.certificate)),
            *("--tls-cert-file", str(pem.certificate), "--tls-key-file", str(pem.key)),
            *("--tls-auth-clients", "yes" if asks_for_certificates else "no"),
            binary=binary,
        )

    def url(self, host: str = HOST, **options: object) -> str:
        """Where it is, for those who believe its authority, unless *options* name another."""
        query = urlencode({"ssl_ca_certs": self.authority.certificate, **options})
        return f"rediss://{host}:{self.port}/0?{query}"


@contextmanager
def guarded(directory: Path, **options: Any) -> Iterator[Guarded]:
    guarded = Guarded(directory, **options)
    with guarded.server:
        yield guarded


def send_sync(url: str, prefix: str) -> fairlead.Sent:
    with fairlead.connect_sync(url, prefix=prefix, timeout_seconds=1) as fl:
        fl.online_users()
        return fl.send_to_user("u", {"type": "sync"})


async def send(url: str, prefix: str, **options: Any) -> fairlead.Sent:
    async with fairlead.connect(url, prefix=prefix, timeout_seconds=1, **options) as fl:
        await fl.online_users()
        return await fl.send_to_user("u", {"type": "async"})


async def test_messages_go_through_and_go_on_with_a_new_certificate(tmp_path: Path, prefix: str) -> None:
    with guarded(tmp_path) as redis, replicas(1, redis.url(), prefix) as (replica,):
        async with connected(replica.url, "u") as client:
            await _all_roads_are_open(redis, replica, client, prefix)

            redis.authority.sign("server", [HOST])
            await asyncio.to_thread(redis.server.restart)
            await asyncio.to_thread(wait_until, lambda: replica.log.count("listening to redis") == 2, 15, "heard again")
            await asyncio.to_thread(replica.wait_ready)
            await _all_roads_are_open(redis, replica, client, prefix)


async def _all_roads_are_open(redis: Guarded, replica: Replica, client: Any, prefix: str) -> None:
    assert (await client.ask("message", to="user:u", content="x"))["type"] == "reply"
    assert (await client.ask("join_session", session_id="s"))["type"] == "reply"
    assert (await send(redis.url(), prefix)).receivers == 1
    await client.until("async")
    assert (await asyncio.to_thread(send_sync, redis.url(), prefix)).receivers == 1
    await client.until("sync")


@pytest.mark.parametrize("wrong", ["host", "authority"])
async def test_who_is_not_believed_is_refused_with_a_sentence(tmp_path: Path, prefix: str, wrong: str) -> None:
    with guarded(tmp_path) as redis:
        stranger = Authority(tmp_path, "stranger").certificate
        url = redis.url("127.0.0.1") if wrong == "host" else redis.url(ssl_ca_certs=stranger)
        why = "mismatch" if wrong == "host" else "certificate verify failed"

        for sending in (send(url, prefix), asyncio.to_thread(send_sync, url, prefix)):
            with pytest.raises(fairlead.Unavailable, match="over TLS"):
                await sending
        _the_replica_is_not_ready_and_says(why, url, prefix)


async def test_the_host_name_goes_unchecked_only_where_that_is_asked_for(tmp_path: Path, prefix: str) -> None:
    with guarded(tmp_path) as redis:
        for options in ({"ssl_check_hostname": "false"}, {"ssl_cert_reqs": "none"}):
            url = redis.url("127.0.0.1", **options)
            assert (await send(url, prefix)).offset
            assert (await asyncio.to_thread(send_sync, url, prefix)).offset
            with replicas(1, url, prefix):
                pass


async def test_a_server_that_asks_for_certificates_gets_ours(tmp_path: Path, prefix: str) -> None:
    with guarded(tmp_path, asks_for_certificates=True) as redis:
        ours = redis.authority.sign("fairlead")
        url = redis.url(ssl_certfile=ours.certificate, ssl_keyfile=ours.key)
        with replicas(1, url, prefix) as (replica,):
            async with connected(replica.url, "u") as client:
                assert (await send(url, prefix)).receivers == 1
                await client.until("async")
        assert (await asyncio.to_thread(send_sync, url, prefix)).offset == 2

        # Under TLS 1.3 a client learns of it by being hung up on.
        for sending in (send(redis.url(), prefix), asyncio.to_thread(send_sync, redis.url(), prefix)):
            with pytest.raises(fairlead.Unavailable, match="cannot be reached"):
                await sending
        _the_replica_is_not_ready_and_says("hung up during the greeting", redis.url(), prefix)


def _the_replica_is_not_ready_and_says(why: str, url: str, prefix: str) -> None:
    replica = Replica(url, prefix, name="distrustful")
    try:
        replica.launch()
        replica.wait_listening()
        wait_until(partial(_cannot_hear, replica, why), 10, f"a line that says {why}")
        assert not replica.is_ready()
    finally:
        replica.close()


def _cannot_hear(replica: Replica, why: str) -> bool:
    said = [str(event["why"]) for event in replica.events() if event["event"] == "redis cannot be heard"]
    return any(why in sentence.lower() for sentence in said)
