"""What happens between replicas and Redis."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.recorder import Closed
from tests.faults.stage import Stage
from tests.support.namespace import DOWN, UP


async def cut_cables(stage: Stage) -> None:
    for _ in range(10):
        stage.rng.choice(stage.ground.cables).cut()
        await stage.pause(0.05, 0.3)


async def block_cable(stage: Stage, ways: Sequence[str]) -> None:
    """For 8 s nothing passes one cable in the directions *ways*."""
    seconds = 8.0
    replica, cable = stage.rng.choice(list(zip(stage.ground.fleet, stage.ground.cables, strict=True)))
    for way in ways:
        (cable.up if way == UP else cable.down).block()
    await stage.pause(seconds)
    stage.blinded(replica, seconds)
    cable.clear()


async def drop_packets(stage: Stage, seconds: float, ways: Sequence[str] = (UP, DOWN)) -> None:
    """Between the replica that lives apart and Redis, in the directions *ways*."""
    namespace, replica = stage.ground.namespace, stage.ground.fleet[0]
    assert namespace is not None
    namespace.drop(stage.ground.server.port, *ways)
    await stage.pause(seconds)
    stage.blinded(replica, seconds)
    namespace.clear()


async def lose_packets(stage: Stage, seconds: float) -> None:
    """One of 20 between the replica that lives apart and Redis, so that TCP must say many things again."""
    namespace = stage.ground.namespace
    assert namespace is not None
    namespace.drop(stage.ground.server.port, UP, DOWN, one_of=20)
    await stage.pause(seconds)
    stage.notes.append(f"{namespace.dropped()} packets lost")
    namespace.clear()


async def reload_nginx(stage: Stage) -> None:
    """Old workers take their connections along a second after each reload."""
    nginx = stage.ground.nginx
    assert nginx is not None
    for _ in range(20):
        nginx.reload()
        await stage.pause(0.2, 1.5)
    ended = sum(isinstance(event, Closed) for diary in stage.record.diaries for event in diary.events)
    assert ended > 0, "no old worker took its connections along"


async def slow_cables(stage: Stage) -> None:
    for cable in stage.ground.cables:
        cable.up.delay_seconds = cable.down.delay_seconds = stage.rng.uniform(0.05, 0.2)
    await stage.pause(3)
    for cable in stage.ground.cables:
        cable.clear()
