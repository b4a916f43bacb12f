"""Nothing is passed on behind a gap: against a real log, with a pub/sub that loses what it is told to lose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.format.messages import push
from fairlead.format.position import Position
from fairlead.names import DURABLE_KINDS, Names, partition_of
from fairlead.publishing.publisher import Publisher
from fairlead.redis.connect import open_async
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.track import MAX_PENDING
from fairlead_gateway.dispatch.tracks import Caught, Tracks
from fairlead_gateway.facts.history import PAGE, History
from fairlead_gateway.facts.lane import Lane
from tests.support.redis import Server

CHANNEL = "session:s1"
SECONDS = 5.0


class Station:
    """Tracks over a real log; the test is the pub/sub."""

    def __init__(self, redis: Redis, names: Names, memory_bytes: int = 1 << 20) -> None:
        self.redis = redis
        self.names = names
        self.lane = Lane(redis, answer_seconds=1.0)
        self.history = History(self.lane, names, 60)
        self.publisher = Publisher(redis, names, timeout_seconds=2)
        self.asked = 0
        self.given: list[Outgoing] = []
        self.tracks = Tracks(self._ask, self._give, DURABLE_KINDS, memory_bytes, 256)
        self.tracks.open(CHANNEL)

    def _ask(self, channel: str, since: Position | None) -> asyncio.Future[Any]:
        self.asked += 1
        return self.history.ask(channel, since)

    def _give(self, channel: str, messages: Sequence[Outgoing]) -> None:
        self.given.extend(messages)

    async def say(self, content: object = "") -> Outgoing:
        """Publish; what Redis would tell us is returned, and nobody has told us yet."""
        envelope = push({"type": "n", "content": content}, CHANNEL)
        sent = await self.publisher.publish(CHANNEL, envelope)
        return Outgoing(envelope.frame, "", sent.offset, sent.epoch, sent.id)

    def hear(self, *messages: Outgoing) -> None:
        """Redis tells us."""
        track = self.tracks.get(CHANNEL)
        assert track is not None
        for message in messages:
            if self.tracks.take(track, message):
                self.given.append(message)

    async def stand(self) -> Position:
        """A first member comes; where the channel stands."""
        return (await self.tracks.catch_up(CHANNEL, None)).position

    async def until_given(self, count: int) -> list[Outgoing]:
        async with asyncio.timeout(SECONDS):
            while len(self.given) < count:
                await asyncio.sleep(0.005)
        return self.given

    async def fail_over(self, term: str = "t2") -> None:
        await self.redis.set(self.names.term(partition_of(CHANNEL)), term)

    @property
    def offsets(self) -> list[int]:
        return [message.offset for message in self.given if message.offset]

    @property
    def notices(self) -> list[tuple[bool, int]]:
        """Whether each break was recovered, and where the channel stood then."""
        frames = [json.loads(message.frame) for message in self.given if not message.offset]
        return [(frame["recovered"], frame["offset"]) for frame in frames if frame["type"] == "epoch_changed"]


@pytest.fixture
async def station(redis: Redis, names: Names) -> AsyncIterator[Station]:
    station = Station(redis, names)
    yield station
    await station.publisher.aclose()
    await station.lane.aclose()


async def test_what_comes_next_is_passed_on_at_once(station: Station) -> None:
    await station.stand()

    station.hear(*[await station.say() for _ in range(3)])

    assert station.offsets == [1, 2, 3]
    assert station.asked == 1


async def test_what_was_lost_on_the_way_is_read_from_the_log_first(station: Station) -> None:
    await station.stand()
    first, _, _, fourth, fifth = [await station.say() for _ in range(5)]

    station.hear(first, fourth, fifth)
    assert station.offsets == [1]
    await station.until_given(5)

    assert station.offsets == [1, 2, 3, 4, 5]
    assert station.tracks.tally.repaired == 4


async def test_what_comes_twice_is_passed_on_once(station: Station) -> None:
    await station.stand()
    first, second = await station.say(), await station.say()

    station.hear(first, second, first, second)

    assert station.offsets == [1, 2]
    assert station.asked == 1


async def test_many_lost_messages_are_read_in_parts(station: Station) -> None:
    await station.stand()
    messages = [await station.say() for _ in range(250)]

    station.hear(messages[-1])
    await station.until_given(250)

    assert station.offsets == list(range(1, 251))


async def test_a_lost_last_message_is_found_when_the_channel_is_doubted(station: Station) -> None:
    await station.stand()
    await station.say()

    station.tracks.doubt(CHANNEL)
    await station.until_given(1)

    assert station.offsets == [1]


async def test_what_comes_while_the_log_is_asked_waits_and_is_not_lost(station: Station) -> None:
    await station.stand()
    await station.say()
    station.tracks.doubt(CHANNEL)

    station.hear(*[await station.say() for _ in range(10)])
    await station.until_given(11)

    assert station.offsets == list(range(1, 12))


async def test_a_doubt_while_the_log_is_asked_asks_once_more(station: Station) -> None:
    await station.stand()
    track = station.tracks.get(CHANNEL)
    assert track is not None
    station.tracks.doubt(CHANNEL)
    await station.redis.ping()
    await station.say()
    station.tracks.doubt(CHANNEL)

    await station.until_given(1)

    assert station.offsets == [1]


async def test_more_than_can_be_kept_is_read_again(redis: Redis, names: Names) -> None:
    station = Station(redis, names)
    await station.stand()
    count = MAX_PENDING + 50
    messages = sorted(await asyncio.gather(*(station.say() for _ in range(count))), key=lambda one: one.offset)

    station.hear(*messages[1:])
    await station.until_given(1)

    # The log keeps 256: the first are gone, and that is said rather than passed over.
    await station.until_given(len(station.given))
    assert station.notices == [(False, count)]
    assert station.offsets == []
    await station.publisher.aclose()
    await station.lane.aclose()


async def test_a_gap_that_the_log_does_not_fill_is_told(station: Station) -> None:
    await station.stand()
    messages = [await station.say() for _ in range(5)]
    await station.redis.xtrim(station.names.log(CHANNEL), maxlen=1, approximate=False)

    station.hear(messages[0], messages[3])
    await station.until_given(2)
    station.hear(messages[4], await station.say())

    assert station.notices == [(False, 5)]
    assert station.offsets == [1, 6]
    assert station.tracks.tally.broken == 1


async def test_after_a_failover_the_channel_goes_on_under_the_new_epoch(station: Station) -> None:
    await station.stand()
    station.hear(await station.say())
    await station.fail_over()

    station.hear(await station.say(), await station.say())
    await station.until_given(4)

    assert station.notices == [(True, 1)]
    assert station.offsets == [1, 2, 3]
    assert {message.epoch for message in station.given[2:]} == {station.given[-1].epoch}


async def test_after_a_failover_behind_us_the_break_is_told_and_nothing_is_dropped(station: Station) -> None:
    await station.stand()
    station.hear(await station.say())
    # A replica that lags behind knows no more than this when it is promoted: offsets 2 and 3 are given out again.
    keys = station.names.of_durable(CHANNEL)[:3]
    copies = [await station.redis.dump(key) for key in keys]
    station.hear(await station.say(), await station.say())
    for key, copy in zip(keys, copies, strict=True):
        assert copy is not None
        await station.redis.restore(key, 0, copy, replace=True)
    await station.fail_over()

    station.hear(await station.say("another second"))
    await station.until_given(4)
    station.hear(await station.say("another third"))

    assert station.notices == [(False, 2)]
    assert station.offsets == [1, 2, 3, 3]


async def test_a_server_that_has_forgotten_everything_is_noticed(station: Station) -> None:
    await station.stand()
    station.hear(*[await station.say() for _ in range(3)])
    await station.redis.delete(*station.names.of_durable(CHANNEL)[:3])

    station.tracks.doubt(CHANNEL)
    await station.until_given(4)
    station.hear(await station.say())

    assert station.notices == [(False, 0)]
    assert station.offsets == [1, 2, 3, 1]


async def test_messages_of_an_epoch_that_is_over_are_not_waited_for_for_ever(station: Station) -> None:
    await station.stand()
    old = await station.say()
    station.hear(old)
    await station.fail_over()
    new = await station.say()

    station.hear(new, old._replace(offset=9, id="m-9"))
    await station.until_given(3)
    station.hear(await station.say())

    assert station.offsets == [1, 2, 3]


async def test_a_quiet_channel_is_compared_with_its_log(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_gateway.dispatch.tracks.CHECK_SECONDS", 0.3)
    await station.stand()
    checking = asyncio.create_task(station.tracks.run_checks())

    await station.say()
    await station.until_given(1)
    checking.cancel()
    await asyncio.wait([checking])

    assert station.offsets == [1]


async def test_while_redis_is_away_doubts_wait_and_newcomers_are_told(names: Names) -> None:
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        redis = open_async(server.url, names)
        station = Station(redis, names)
        await station.stand()
        station.hear(await station.say())
        await station.say()
        server.stop()

        station.tracks.doubt(CHANNEL)
        with pytest.raises(Unavailable):
            await station.tracks.catch_up(CHANNEL, None)
        server.start()
        await station.until_given(3)

        assert station.offsets == [1, 2]
        assert [recovered for recovered, _ in station.notices] == [True]
        await station.publisher.aclose()
        await station.lane.aclose()
        await redis.aclose()


# -- who comes back ------------------------------------------------------------------------------


def content(caught: Caught) -> list[int]:
    return [message.offset for message in caught.missed]


async def test_who_comes_back_is_served_from_memory(station: Station) -> None:
    await station.stand()
    messages = [await station.say() for _ in range(5)]
    station.hear(*messages)
    asked = station.asked

    caught = await station.tracks.catch_up(CHANNEL, Position(2, messages[1].epoch, messages[1].id))

    assert (caught.recovered, content(caught), caught.position.offset) == (True, [3, 4, 5], 5)
    assert station.asked == asked


async def test_the_first_who_comes_back_asks_the_log_once(station: Station) -> None:
    messages = [await station.say() for _ in range(5)]

    caught = await station.tracks.catch_up(CHANNEL, Position(2, messages[1].epoch, messages[1].id))

    assert (caught.recovered, content(caught)) == (True, [3, 4, 5])
    assert station.asked == 1


async def test_a_position_without_an_id_leaves_the_channel_provable_after_a_failover(station: Station) -> None:
    latest = [await station.say() for _ in range(3)][-1]
    caught = await station.tracks.catch_up(CHANNEL, Position(3, latest.epoch))
    await station.fail_over()

    station.hear(await station.say())
    await station.until_given(2)

    assert caught.recovered is True
    assert station.notices == [(True, 3)]
    assert station.offsets == [4]


async def test_many_who_come_back_together_ask_the_log_once(station: Station) -> None:
    messages = [await station.say() for _ in range(5)]
    station.tracks.open(CHANNEL)
    await station.stand()
    asked = station.asked

    since = Position(1, messages[0].epoch, messages[0].id)
    caught = await asyncio.gather(*(station.tracks.catch_up(CHANNEL, since) for _ in range(100)))

    assert {(one.recovered, len(one.missed)) for one in caught} == {(True, 4)}
    assert station.asked == asked + 1


async def test_what_is_said_between_the_answer_and_going_live_is_in_the_rest(station: Station) -> None:
    await station.stand()
    caught = await station.tracks.catch_up(CHANNEL, None)
    station.hear(*[await station.say() for _ in range(3)])

    assert [message.offset for message in station.tracks.rest(CHANNEL, caught)] == [1, 2, 3]


async def test_a_break_between_the_answer_and_going_live_is_told(station: Station) -> None:
    await station.stand()
    caught = await station.tracks.catch_up(CHANNEL, None)
    await station.redis.delete(*station.names.of_durable(CHANNEL)[:3])
    station.tracks.doubt(CHANNEL)
    await station.until_given(1)

    (notice,) = station.tracks.rest(CHANNEL, caught)

    assert json.loads(notice.frame)["recovered"] is False


async def test_who_comes_back_with_a_position_ahead_of_what_was_heard_moves_the_track(station: Station) -> None:
    await station.stand()
    messages = [await station.say() for _ in range(4)]

    caught = await station.tracks.catch_up(CHANNEL, Position(2, messages[1].epoch, messages[1].id))
    station.hear(*messages)

    assert (caught.recovered, content(caught), caught.position.offset) == (True, [3, 4], 4)
    assert station.offsets == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "since",
    [Position(2, "other.epoch"), Position(99, ""), Position(0, "")],
)
async def test_who_stands_nowhere_reloads(station: Station, since: Position) -> None:
    station.hear(*[await station.say() for _ in range(3)])

    caught = await station.tracks.catch_up(CHANNEL, since)

    assert (caught.recovered, caught.missed, caught.position.offset) == (False, [], 3)


async def test_a_hole_in_the_log_proves_nothing(station: Station) -> None:
    messages = [await station.say() for _ in range(PAGE + 10)]
    await station.redis.xdel(station.names.log(CHANNEL), "50-0")

    caught = await station.tracks.catch_up(CHANNEL, Position(1, messages[0].epoch, messages[0].id))

    assert (caught.recovered, caught.missed) == (False, [])


async def test_memory_is_bounded(redis: Redis, names: Names) -> None:
    station = Station(redis, names, 10_000)
    await station.stand()
    station.hear(*[await station.say("x" * 1000) for _ in range(50)])
    track = station.tracks.get(CHANNEL)
    assert track is not None

    assert 0 < len(track.recent) < 10
    assert [message.offset for message in track.recent] == list(range(51 - len(track.recent), 51))
    await station.publisher.aclose()
    await station.lane.aclose()


@pytest.mark.parametrize("id_", ["m-2", b"\xff"])
async def test_an_entry_that_nobody_can_read_holds_its_place(station: Station, id_: str | bytes) -> None:
    await station.stand()
    first = await station.say()
    await station.redis.xadd(station.names.log(CHANNEL), {"m": id_, "d": b"\x00garbage"}, id="2-0")
    await station.redis.hset(station.names.meta(CHANNEL), "o", 2)

    station.hear(first, await station.say())
    await station.until_given(3)

    assert station.offsets == [1, 2, 3]
    assert json.loads(station.given[1].frame) == {"type": "skipped", "channel": CHANNEL, "offset": 2}
