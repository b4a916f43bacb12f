"""What somebody publishes who should not: bytes that mean nothing, and messages that only the script may write."""

from __future__ import annotations

from random import Random
from typing import Final

from msgpack import packb

from fairlead.format.envelope import Envelope
from fairlead.names import partition_of
from tests.faults.ground import Ground
from tests.faults.stage import Stage


async def publish(stage: Stage) -> None:
    """On channels in use: random bytes, and envelopes with positions that the log never gave."""
    for _ in range(200):
        channel = stage.rng.choice(stage.channels)
        forged = stage.rng.choice((_noise, _cut_short, _from_the_future, _from_elsewhere))
        data = forged(stage.rng, await _epoch(stage.ground, channel))
        await stage.ground.redis.publish(stage.ground.names.pubsub(channel), data)
        await stage.pause(0.005)


_FORGED: Final = Envelope("forged", "forged", b'{"type":"forged","id":"forged"}')


def _noise(rng: Random, epoch: str) -> bytes:
    return rng.randbytes(rng.randrange(1, 60))


def _cut_short(rng: Random, epoch: str) -> bytes:
    return _at(1, epoch)[: rng.randrange(1, 30)]


def _from_the_future(rng: Random, epoch: str) -> bytes:
    return _at(rng.randrange(1 << 20, 1 << 40), epoch)


def _from_elsewhere(rng: Random, epoch: str) -> bytes:
    return _at(rng.randrange(1, 50), "feed.beef")


def _at(offset: int, epoch: str) -> bytes:
    """A forged message with a position in front, as only the publish script may write it."""
    return b"\x93" + packb(offset) + packb(epoch) + _FORGED.seal()


async def _epoch(ground: Ground, channel: str) -> str:
    """The epoch that is good now."""
    epoch = await ground.redis.hget(ground.names.meta(channel), "e")
    term = await ground.redis.get(ground.names.term(partition_of(channel)))
    return f"{(epoch or b'').decode()}.{(term or b'0').decode()}"
