"""
What keeping messages costs: ``python -m tests.bench.price [MESSAGES]``.

Backends publish to a hundred channels in turn, without history (ephemeral), with it, and with a replica of Redis that
must have each message (replicated). Nobody listens, so that all that is measured is the way into Redis.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

import redis

import fairlead
from tests.support.redis import Server

CHANNELS = 100
TOGETHER = 256
"""Messages under way at any moment."""

TEXT = "x" * 120


@dataclass(frozen=True, slots=True)
class Price:
    """Of one message, in microseconds of CPU; and how many went through a second."""

    per_second: float
    backend_us: float
    redis_us: float


def cpu_seconds(server: Server) -> float:
    with redis.Redis.from_url(server.url) as client:
        facts = client.info("cpu")
    return float(facts["used_cpu_user"]) + float(facts["used_cpu_sys"])


async def publish(server: Server, kind: str, count: int, replicas: int) -> Price:
    """The price of *count* messages to channels of a *kind*."""
    async with fairlead.connect(server.url, durable_replicas=replicas) as backend:

        async def say(first: int) -> None:
            for number in range(first, count, TOGETHER):
                channel = f"{kind}:{number % CHANNELS}"
                await backend.send(channel, {"type": "note", "content": TEXT})

        await say(count - 1)
        began, used, used_by_redis = time.monotonic(), time.process_time(), cpu_seconds(server)
        await asyncio.gather(*(say(first) for first in range(TOGETHER)))
        seconds, backend_used = time.monotonic() - began, time.process_time() - used
        redis_used = cpu_seconds(server) - used_by_redis
        return Price(count / seconds, backend_used / count * 1e6, redis_used / count * 1e6)


async def main(count: int) -> None:
    """Print a line for each way to publish."""
    print(f"{'':<28}{'messages/s':>12}{'backend us':>12}{'redis us':>12}")
    with Server("--repl-diskless-sync-delay", "0") as master, Server("--replicaof", "127.0.0.1", str(master.port)) as _:
        with redis.Redis.from_url(master.url, socket_timeout=15) as client:
            client.set("price", 0)
            client.wait(1, 10_000)  # the copy has caught up
        for name, kind, replicas in (
            ("ephemeral", "topic", 0),
            ("durable", "user", 0),
            ("durable, one replica has it", "session", 1),
        ):
            price = await publish(master, kind, count, replicas)
            print(f"{name:<28}{price.per_second:>12,.0f}{price.backend_us:>12.1f}{price.redis_us:>12.1f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000))
