"""What happens to replicas, and to those who are connected to them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Final

from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.faults.recorder import now
from tests.faults.stage import Stage
from tests.support.replica import Replica, token

VANDALS: Final = 10
OPEN_SECONDS: Final = 5.0


async def nothing(stage: Stage) -> None:
    """As a measure for the others."""


async def kill_replica(stage: Stage) -> None:
    victim = stage.victim()
    victim.kill()
    stage.healed()
    await stage.pause(0.2, 1.0)
    await _started(victim)


async def kill_the_replica_of_all(stage: Stage) -> None:
    """Thousands come to the other replica at once."""
    first, second = stage.ground.fleet
    redis, began = stage.ground.redis, now()
    before = await _cpu(redis)
    stage.spare(first)
    stage.ground.doors = [second]
    first.kill()
    stage.healed()
    for device in stage.devices:
        device.standing.clear()
    async with asyncio.timeout(60):
        for device in stage.devices:
            await device.standing.wait()
    stage.notes.append(
        f"all back after {now() - began:.1f} s; CPU of Redis meanwhile {await _cpu(redis) - before:.2f} s"
    )


async def freeze_replica(stage: Stage, seconds: float) -> None:
    victim = stage.victim()
    victim.freeze()
    await stage.pause(seconds)
    victim.thaw()


async def stall_readers(stage: Stage) -> None:
    """Some read nothing, until they are so far behind that they are closed; then they come back."""
    stalled = stage.devices[:: max(1, len(stage.devices) // 3)]
    for device in stalled:
        device.stall()
    for number in range(300):
        await stage.ground.backend.broadcast({"type": "filler", "content": "x" * 60_000, "n": number})
    stage.healed()
    await stage.pause(1)
    for device in stalled:
        device.resume()


async def terminate_replica(stage: Stage) -> None:
    victim = stage.victim()
    stage.healed()
    await asyncio.to_thread(victim.stop)
    await _started(victim)


async def terminate_twice(stage: Stage) -> None:
    victim = stage.victim()
    stage.healed()
    for _ in range(2):
        os.kill(victim.pid, signal.SIGTERM)
        await stage.pause(0.3)
    await asyncio.to_thread(victim.stop)
    await _started(victim)


async def terminate_beside_stalled_readers(stage: Stage) -> None:
    for device in stage.devices[::2]:
        device.stall()
    await terminate_replica(stage)
    for device in stage.devices[::2]:
        device.resume()


async def roll_the_fleet(stage: Stage) -> None:
    """Every replica in turn, as a deployment does."""
    stage.healed()
    for replica in stage.ground.fleet:
        stage.spare(replica)
        await asyncio.to_thread(replica.stop)
        await _started(replica)


async def garbage_from_clients(stage: Stage) -> None:
    """Some say what no client says, and come back whenever they are thrown out."""
    async with asyncio.TaskGroup() as vandals:
        for number in range(VANDALS):
            vandals.create_task(_misbehave(stage, Random(stage.rng.random()), number))


async def exhaust_files(stage: Stage) -> None:
    """
    More and more come than there are files for, and say nothing; when they have gone, newcomers are let in.

    Meanwhile the replica loses its connections to Redis, and needs files for new ones.
    """
    replica = stage.ground.fleet[0]
    async with AsyncExitStack() as crowd, asyncio.TaskGroup() as group:
        pressing = group.create_task(_press(replica, crowd))
        await stage.pause(1)
        refused = 0
        for number in range(20):
            refused += not await _is_let_in(replica, f"late-{number}")
        assert refused > 0, "there were files left"
        for kind in ("normal", "pubsub"):
            await stage.ground.redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        stage.healed()
        await stage.pause(2)
        pressing.cancel()
    began = now()
    async with asyncio.timeout(OPEN_SECONDS):
        while not await _is_let_in(replica, "later"):
            await stage.pause(0.05)
    stage.notes.append(f"{refused} of 20 newcomers refused meanwhile, let in {now() - began:.2f} s afterwards")
    assert "Traceback" not in replica.log, "it is told of with a trace"


async def _press(replica: Replica, crowd: AsyncExitStack) -> None:
    """Take every file that becomes free."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(replica.host, replica.port)
            crowd.callback(writer.close)
        await asyncio.sleep(0.001)


async def _is_let_in(replica: Replica, user: str) -> bool:
    bearer = {"Authorization": f"Bearer {token(user)}"}
    with suppress(OSError, WebSocketException, EOFError):
        async with asyncio.timeout(OPEN_SECONDS), connect(replica.url, additional_headers=bearer) as socket:
            return bool(json.loads(await socket.recv())["type"] == "connection_established")
    return False


async def _noise(socket: ClientConnection, rng: Random) -> None:
    await socket.send(rng.randbytes(rng.randrange(1, 2000)))


async def _nonsense(socket: ClientConnection, rng: Random) -> None:
    await socket.send("[" * rng.randrange(1, 1000))


async def _unknown_action(socket: ClientConnection, rng: Random) -> None:
    await socket.send(
        json.dumps({"action": f"do-{rng.randrange(1000)}", "recover": {"user:1": {"offset": 1, "epoch": "x"}}})
    )


async def _false_position(socket: ClientConnection, rng: Random) -> None:
    place = {"offset": rng.randrange(1 << 50), "epoch": "feed.beef"}
    await socket.send(json.dumps({"action": "subscribe", "channels": ["instance:x"], "recover": {"instance:x": place}}))


async def _pings(socket: ClientConnection, rng: Random) -> None:
    for _ in range(200):
        await socket.ping(rng.randbytes(100))


_MISDEEDS: Final = (_noise, _nonsense, _unknown_action, _false_position, _pings)


async def _misbehave(stage: Stage, rng: Random, number: int) -> None:
    bearer = {"Authorization": f"Bearer {token(f'vandal-{number}')}"}
    until = now() + 3
    while now() < until:
        with suppress(OSError, WebSocketException, EOFError, TimeoutError):
            async with connect(rng.choice(stage.ground.urls()), additional_headers=bearer, close_timeout=0.1) as socket:
                while now() < until:
                    await rng.choice(_MISDEEDS)(socket, rng)


async def _started(replica: Replica) -> None:
    replica.launch()
    await asyncio.to_thread(replica.wait_ready)


async def _cpu(redis: Redis) -> float:
    """Seconds of CPU that Redis has used."""
    info = await redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
