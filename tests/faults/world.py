"""
A small world around one durable channel: real scripts in a real Redis, two replicas' tracks, three devices.

Everything that may happen to it is one method, and happens exactly then: what Redis published waits in the inbox of
each replica until it is read, is dropped there, or is lost with the subscription.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import uuid4

import orjson
from redis.asyncio import Redis

from fairlead.format.envelope import opened, with_offset
from fairlead.format.messages import push
from fairlead.format.position import Position
from fairlead.names import Names, partition_of
from fairlead.publishing import forms
from fairlead.redis.connect import open_async
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.reader import Heard, RedisReader
from fairlead_gateway.dispatch.tracks import Caught, Tracks
from fairlead_gateway.facts.history import History
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.sessions.seating import told
from tests.faults import invariants
from tests.faults.positions import Positions
from tests.faults.recorder import Diary, Published, Recorder, now

CHANNEL: Final = "session:s"

REPLICAS: Final = 2
DEVICES: Final = 3

MEMORY_MESSAGES: Final = 2
"""Little, so that both memory and log have to serve."""

KEPT_SECONDS: Final = 600

SETTLE_SECONDS: Final = 10.0


class Phone:
    """A device, and the replica that it is connected to, if any."""

    def __init__(self, diary: Diary, *, checks: bool) -> None:
        self.positions = Positions(diary, [CHANNEL], checks=checks)
        self.replica: Side | None = None

    @property
    def since(self) -> Position | None:
        """Where it says that it stands."""
        place = self.positions.places[CHANNEL]
        return Position(place.offset, place.epoch, place.id) if place.epoch else None

    def hear(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            self.positions.hear(orjson.loads(message.frame))


class Side:
    """What one replica knows about the channel, and who hears it there."""

    def __init__(self, lane: Lane, names: Names) -> None:
        self.lane = lane
        history = History(lane, names, KEPT_SECONDS)
        self.tracks = Tracks(history.ask, self._give, ("session",), 1 << 20, MEMORY_MESSAGES)
        self.inbox: deque[bytes] = deque()
        """Published, and not read yet."""
        self.is_subscribed = False
        self.members: list[Phone] = []

    def lose_subscription(self) -> None:
        self.is_subscribed = False
        self.inbox.clear()

    def subscribe(self) -> None:
        """Redis has confirmed the channel."""
        self.tracks.open(CHANNEL)
        if not self.is_subscribed:
            self.is_subscribed = True
            self.tracks.doubt(CHANNEL)

    def give_up(self) -> None:
        """Nobody here needs the channel any more."""
        self.lose_subscription()
        self.tracks.drop(CHANNEL)

    def read(self, count: int) -> None:
        """Take in the next messages of the inbox, as the relay does."""
        for _ in range(min(count, len(self.inbox))):
            offset, epoch, id_, _, exclude, _, _, frame = opened(self.inbox.popleft())
            message = Outgoing(with_offset(frame, offset), exclude, offset, epoch, id_)
            track = self.tracks.get(CHANNEL)
            if track is not None and self.tracks.take(track, message):
                self._give(CHANNEL, [message])

    async def is_settled(self) -> bool:
        """Whether it waits for nothing."""
        track = self.tracks.get(CHANNEL)
        await asyncio.sleep(0)
        is_unused = track is None or not (track.epoch or track.is_asking)
        return not self.inbox and (is_unused or (track.is_sure and not track.is_asking))

    def _give(self, channel: str, messages: Sequence[Outgoing]) -> None:
        for phone in self.members:
            phone.hear(messages)


class World:
    """
    :param checks: whether devices check offsets, see `Positions`.
    """

    def __init__(self, url: str, *, checks: bool = True) -> None:
        self.names = Names(f"w{uuid4().hex[:12]}")
        self.record = Recorder()
        self.redis: Redis = open_async(url, self.names)
        self._lane = Lane(self.redis)
        self.sides = [Side(Lane(self.redis), self.names) for _ in range(REPLICAS)]
        self.phones = [Phone(self.record.diary(f"phone {n}"), checks=checks) for n in range(DEVICES)]
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._ear: RedisReader | None = None
        self._url = url
        self._copy: list[bytes | None] = [None, None, None]
        self._since_copy: set[str] = set()
        self._rolled_back: set[str] = set()

    async def begin(self) -> None:
        """Listen to what the publish script publishes."""
        host, _, port = self._url.removeprefix("redis://").partition("/")[0].partition(":")
        confirmed = asyncio.Event()
        loop = asyncio.get_running_loop()
        _, self._ear = await loop.create_connection(
            lambda: RedisReader(self._hear, lambda name: confirmed.set()), host, int(port)
        )
        self._ear.subscribe([self.names.pubsub(CHANNEL).encode()])
        await confirmed.wait()

    async def end(self) -> None:
        """Leave nothing behind."""
        assert self._ear is not None
        self._ear.abort()
        keys = [key async for key in self.redis.scan_iter(f"{self.names.prefix}:*", count=1000)]
        await self.redis.delete(*keys)
        for lane in (self._lane, *(side.lane for side in self.sides)):
            await lane.aclose()
        await self.redis.aclose()

    def _hear(self, heard: Heard) -> None:
        for payloads in heard.values():
            for payload in payloads:
                self._heard.put_nowait(payload)

    # -- backends ------------------------------------------------------------------------------------

    async def publish(self, id_: str, missed_by: Collection[int] = ()) -> None:
        """Say something, or say it again under the same id; some replicas may miss it, though they are subscribed."""
        envelope = push({"type": "n"}, CHANNEL, message_id=id_)
        args = (
            self.names.pubsub(CHANNEL),
            1000,
            KEPT_SECONDS,
            1000,
            KEPT_SECONDS,
            uuid4().hex[:12],
            id_,
            envelope.seal(),
        )
        began = now()
        reply = await self._lane.run(forms.PUBLISH.script, self.names.of_durable(CHANNEL), args)
        offset, epoch, duplicate, _ = reply
        sent = self.record.published
        number, tries = len(sent), 1 + sum(one.id == id_ for one in sent)
        sent.append(Published(CHANNEL, id_, offset, epoch.decode(), began, now(), number, tries, bool(duplicate)))
        if duplicate:
            return
        self._since_copy.add(id_)
        self._rolled_back.discard(id_)
        payload = await asyncio.wait_for(self._heard.get(), SETTLE_SECONDS)
        for number, side in enumerate(self.sides):
            if side.is_subscribed and number not in missed_by:
                side.inbox.append(payload)

    # -- Redis ---------------------------------------------------------------------------------------

    async def copy(self) -> None:
        """The second server is up to date at this moment; from here on it lags."""
        self._copy = [await self.redis.dump(key) for key in self._keys()]
        self._since_copy.clear()

    async def fail_over(self) -> None:
        """The second server becomes the master, and what came after the copy is gone."""
        for key, data in zip(self._keys(), self._copy, strict=True):
            await (self.redis.delete(key) if data is None else self.redis.restore(key, 0, data, replace=True))
        self._rolled_back |= self._since_copy
        self._since_copy.clear()
        await self._new_master()

    async def restart_empty(self) -> None:
        await self.redis.delete(*self._keys())
        await self._new_master()

    async def _new_master(self) -> None:
        await self.redis.set(self.names.term(partition_of(CHANNEL)), uuid4().hex[:12])
        for side in self.sides:
            side.lose_subscription()

    async def trim(self, kept: int) -> None:
        await self.redis.xtrim(self.names.log(CHANNEL), maxlen=kept, approximate=False)

    async def forget_meta(self) -> None:
        await self.redis.delete(self.names.meta(CHANNEL))

    async def forget_log(self) -> None:
        await self.redis.delete(self.names.log(CHANNEL))

    def _keys(self) -> tuple[str, ...]:
        return self.names.of_durable(CHANNEL)[:3]

    # -- devices -------------------------------------------------------------------------------------

    async def connect(self, phone: Phone, side: Side) -> None:
        """Come (back) with the position that the device has."""
        self.disconnect(phone)
        side.subscribe()
        phone.positions.recover()
        await self._catch_up(phone, side)
        phone.replica = side
        side.members.append(phone)

    def disconnect(self, phone: Phone) -> None:
        if phone.replica is not None:
            phone.replica.members.remove(phone)
            phone.replica = None

    async def _catch_up(self, phone: Phone, side: Side) -> None:
        side.tracks.prepare(CHANNEL, phone.since)
        caught: Caught = await side.tracks.catch_up(CHANNEL, phone.since)
        reply: dict[str, Any] = {"type": "reply", "channels": told({CHANNEL: caught})}
        phone.positions.hear(reply)
        phone.hear([*caught.missed, *side.tracks.rest(CHANNEL, caught)])

    # -- the end -------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Let all that is under way come to its end."""
        async with asyncio.timeout(SETTLE_SECONDS):
            for side in self.sides:
                side.read(len(side.inbox))
                while not await side.is_settled():
                    side.read(len(side.inbox))
            for phone in self.phones:
                if phone.replica is not None and phone.positions.wants():
                    await self._catch_up(phone, phone.replica)

    async def violations(self) -> list[str]:
        """What is wrong once everybody is back, and one more message has shown who is behind."""
        for phone in self.phones:
            if phone.replica is None:
                await self.connect(phone, self.sides[0])
        for side in self.sides:
            if side.members:
                side.subscribe()
        await self.settle()
        await self.publish("the last")
        await self.settle()
        kept = {one.id for one in self.record.published} - self._rolled_back
        return invariants.violations(self.record, {CHANNEL: kept})
