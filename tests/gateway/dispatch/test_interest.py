"""A Redis channel is subscribed to while a socket needs it, and for a moment longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fairlead.names import Names
from fairlead_gateway.dispatch.interest import LINGER_SECONDS, Interest
from tests.gateway.dispatch.wires import Wire, confirmation, wired
from tests.gateway.patience import until

NAMES = Names("t")
PROBE = NAMES.probe("r1")


def redis_name(channel: str) -> bytes:
    return NAMES.pubsub(channel).encode()


class Desk:
    """An interest with a reader, and the channels that sockets sit in."""

    def __init__(self) -> None:
        self.needed: set[str] = set()
        self.interest = Interest(NAMES, self.needed.__contains__, PROBE)
        self.reader, self.wire = wired(self.interest)

    def serve(self) -> Wire:
        """A new connection to Redis, on which nothing is confirmed yet."""
        self.reader, self.wire = wired(self.interest)
        self.interest.serve(self.reader)
        return self.wire

    def confirm(self, *channels: str) -> None:
        self.reader.data_received(confirmation(redis_name(channel) for channel in channels))

    def confirm_all(self) -> None:
        asked = [name for command in self.wire.commands for name in command[1:] if command[0] == b"SUBSCRIBE"]
        self.reader.data_received(confirmation(asked))

    async def want(self, *channels: str) -> asyncio.Task[None]:
        """A task that wants *channels*; what it asks for has been asked."""
        self.needed.update(channels)
        task = asyncio.get_running_loop().create_task(self.interest.want(*channels))
        await asyncio.sleep(0)
        await until(lambda: not self.interest._asking, what="asked")
        return task

    def release(self, *channels: str) -> None:
        self.needed.difference_update(channels)
        for channel in channels:
            self.interest.release(channel)


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    desk.serve()
    desk.confirm_all()
    desk.reader.data_received(confirmation([PROBE.encode()]))
    desk.wire.commands.clear()
    return desk


@pytest.fixture
async def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of the loop by hand."""
    loop = asyncio.get_running_loop()
    shift = [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + shift[0])

    def advance(seconds: float) -> None:
        shift[0] += seconds

    return advance


async def done(*tasks: asyncio.Task[None]) -> None:
    async with asyncio.timeout(2):
        await asyncio.gather(*tasks)


async def test_many_wants_within_one_turn_of_the_loop_are_one_subscribe(desk: Desk) -> None:
    tasks = [asyncio.create_task(desk.interest.want(f"user:{n}", f"topic:{n}")) for n in range(20)]
    await until(lambda: desk.wire.commands)

    assert [(command[0], len(command) - 1) for command in desk.wire.commands] == [(b"SUBSCRIBE", 40)]
    desk.confirm_all()
    await done(*tasks)


async def test_want_returns_when_redis_has_confirmed_each_channel(desk: Desk) -> None:
    task = await desk.want("user:1", "user:2")

    desk.confirm("user:1")
    await asyncio.sleep(0)
    assert not task.done()
    desk.confirm("user:2")

    await done(task)


async def test_two_who_want_the_same_channel_ask_once_and_both_wait(desk: Desk) -> None:
    first = await desk.want("topic:t")
    second = await desk.want("topic:t")

    assert len(desk.wire.commands) == 1
    assert not first.done()
    assert not second.done()
    desk.confirm("topic:t")
    await done(first, second)


async def test_who_gives_up_waiting_does_not_take_the_others_along(desk: Desk) -> None:
    impatient = await desk.want("topic:t")
    patient = await desk.want("topic:t")

    impatient.cancel()
    await asyncio.sleep(0)
    desk.confirm("topic:t")

    await done(patient)


async def test_what_is_heard_already_is_wanted_without_asking(desk: Desk) -> None:
    first = await desk.want("topic:t")
    desk.confirm("topic:t")
    await done(first)
    desk.wire.commands.clear()

    await done(await desk.want("topic:t"))

    assert desk.wire.commands == []


async def test_an_unused_channel_is_kept_for_a_second_and_then_given_up(
    desk: Desk, pass_seconds: Callable[[float], None]
) -> None:
    task = await desk.want("topic:t")
    desk.confirm("topic:t")
    await done(task)
    desk.wire.commands.clear()

    desk.release("topic:t")
    pass_seconds(LINGER_SECONDS * 0.9)
    desk.interest.tidy()
    kept = list(desk.wire.commands)
    pass_seconds(LINGER_SECONDS * 0.2)
    desk.interest.tidy()

    assert kept == []
    assert desk.wire.commands == [[b"UNSUBSCRIBE", redis_name("topic:t")]]
    assert desk.interest.channel_of(redis_name("topic:t")) is None


async def test_a_channel_wanted_again_while_it_lingers_is_not_given_up(
    desk: Desk, pass_seconds: Callable[[float], None]
) -> None:
    task = await desk.want("topic:t")
    desk.confirm("topic:t")
    await done(task)
    desk.wire.commands.clear()

    desk.release("topic:t")
    await done(await desk.want("topic:t"))
    pass_seconds(LINGER_SECONDS * 5)
    desk.interest.tidy()

    assert desk.wire.commands == []
    assert desk.interest.channel_of(redis_name("topic:t")) == "topic:t"


async def test_a_channel_given_up_is_asked_for_again_when_wanted(
    desk: Desk, pass_seconds: Callable[[float], None]
) -> None:
    task = await desk.want("topic:t")
    desk.confirm("topic:t")
    await done(task)
    desk.release("topic:t")
    pass_seconds(LINGER_SECONDS * 2)
    desk.interest.tidy()
    desk.wire.commands.clear()

    task = await desk.want("topic:t")

    assert desk.wire.commands == [[b"SUBSCRIBE", redis_name("topic:t")]]
    assert not task.done()
    desk.confirm("topic:t")
    await done(task)


async def test_a_new_connection_is_told_everything_again_in_batches_of_at_most_512(desk: Desk) -> None:
    tasks = [await desk.want(*(f"user:{n}" for n in range(1100)))]
    desk.confirm_all()
    await done(*tasks)

    wire = desk.serve()

    assert {command[0] for command in wire.commands} == {b"SUBSCRIBE"}
    assert [len(command) - 1 for command in wire.commands] == [512, 512, 1101 - 1024]
    assert {name for command in wire.commands for name in command[1:]} == {
        PROBE.encode(),
        *(redis_name(f"user:{n}") for n in range(1100)),
    }


async def test_what_was_wanted_while_redis_was_away_is_confirmed_by_the_next_connection(desk: Desk) -> None:
    desk.interest.deaf()

    task = await desk.want("user:1")
    wire = desk.serve()

    assert not task.done()
    assert redis_name("user:1") in wire.commands[0]
    desk.confirm("user:1")
    await done(task)


async def test_what_was_wanted_when_the_connection_was_lost_waits_for_the_next(desk: Desk) -> None:
    task = await desk.want("user:1")

    desk.interest.deaf()
    desk.serve()
    assert not task.done()
    desk.confirm("user:1")

    await done(task)


async def test_interest_is_not_whole_until_a_new_connection_has_confirmed_everything(desk: Desk) -> None:
    task = await desk.want("user:1")
    desk.confirm("user:1")
    await done(task)
    whole_before = desk.interest.is_whole

    desk.interest.deaf()
    when_deaf = desk.interest.is_whole
    desk.serve()
    when_served = desk.interest.is_whole
    desk.confirm("user:1")
    in_part = desk.interest.is_whole
    desk.confirm_all()

    assert (whole_before, when_deaf, when_served, in_part, desk.interest.is_whole) == (True, False, False, False, True)


async def test_newcomers_who_subscribe_do_not_make_it_less_than_whole(desk: Desk) -> None:
    task = await desk.want("user:new")

    assert desk.interest.is_whole
    desk.confirm("user:new")
    await done(task)


async def test_names_are_told_apart_ours_the_probe_and_strangers(desk: Desk) -> None:
    await desk.want("user:1")

    assert desk.interest.channel_of(redis_name("user:1")) == "user:1"
    assert desk.interest.channel_of(PROBE.encode()) == ""
    assert desk.interest.channel_of(b"somebody-elses") is None


# -- several shards ----------------------------------------------------------------------------------


class Map:
    """Two shards, and a desk whose channels live on the first unless they have moved."""

    def __init__(self) -> None:
        self.moved: set[bytes] = set()
        self.doubted: list[str] = []
        self.interest = Interest(
            NAMES, lambda channel: True, doubt=self.doubted.append, place=lambda name: "ab"[name in self.moved]
        )
        self.wires = {shard: self.serve(shard) for shard in "ab"}

    def serve(self, shard: str) -> Wire:
        reader, wire = wired(self.interest)
        self.interest.serve(reader, shard)
        return wire

    def asked(self, shard: str) -> set[bytes]:
        """What has been asked of a shard since the last time."""
        commands, self.wires[shard].commands = self.wires[shard].commands, []
        return {name for command in commands for name in command[1:] if command[0] == b"SUBSCRIBE"}


async def test_a_channel_is_asked_for_where_it_lives() -> None:
    map = Map()
    map.moved = {redis_name("user:2")}
    want = asyncio.create_task(map.interest.want("user:1", "user:2"))
    await until(lambda: map.wires["a"].commands and map.wires["b"].commands)

    assert (map.asked("a"), map.asked("b")) == ({redis_name("user:1")}, {redis_name("user:2")})
    map.interest.confirmed(redis_name("user:1"), "a")
    map.interest.confirmed(redis_name("user:2"), "b")
    await done(want)
    assert map.doubted == []


async def test_a_channel_that_a_shard_ends_unasked_is_asked_of_its_new_one_and_doubted_when_it_is_heard() -> None:
    map = Map()
    name = redis_name("user:1")
    want = asyncio.create_task(map.interest.want("user:1"))
    await until(lambda: map.asked("a"))
    map.interest.confirmed(name, "a")
    await done(want)

    was_unasked = map.interest.ended(name, "a")
    not_whole = map.interest.is_whole
    map.moved.add(name)
    map.interest.settle()

    assert was_unasked
    assert not not_whole
    assert (map.asked("a"), map.asked("b")) == (set(), {name})
    assert (map.interest.is_whole_on("a"), map.interest.is_whole_on("b")) == (True, False)
    assert map.doubted == []
    map.interest.confirmed(name, "b")
    assert map.doubted == ["user:1"]
    assert map.interest.is_whole


async def test_an_end_that_was_asked_for_is_no_news() -> None:
    map = Map()
    map.interest.keep(b"probe")
    map.interest.confirmed(b"probe", "a")

    map.interest.drop(b"probe")

    assert [b"UNSUBSCRIBE", b"probe"] in map.wires["a"].commands
    assert not map.interest.ended(b"probe", "a")


async def test_a_shard_that_is_not_heard_takes_only_its_own_channels_along() -> None:
    map = Map()
    map.moved = {redis_name("user:2")}
    want = asyncio.create_task(map.interest.want("user:1", "user:2"))
    await until(lambda: map.asked("a") and map.asked("b"))
    map.interest.confirmed(redis_name("user:1"), "a")
    map.interest.confirmed(redis_name("user:2"), "b")
    await done(want)

    map.interest.deaf("b")
    whole = map.interest.is_whole_on("a"), map.interest.is_whole_on("b")
    map.wires["b"] = map.serve("b")

    assert whole == (True, False)
    assert map.asked("b") == {redis_name("user:2")}
    map.interest.confirmed(redis_name("user:2"), "b")
    assert map.doubted == ["user:2"]
