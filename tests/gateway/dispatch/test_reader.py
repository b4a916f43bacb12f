"""The reader: however the bytes are cut, each message once, in order, by channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.names import Names
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.reader import Heard, RedisReader
from tests.gateway.dispatch.wires import Wire, confirmation, published, wired

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

MESSAGES = st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.binary(max_size=20)), max_size=30)


def interest() -> Interest:
    return Interest(Names("t"), lambda channel: True, "probe")


@settings(max_examples=40)
@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1))
def test_however_the_bytes_are_cut_each_message_is_heard_once_and_in_order(
    messages: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = confirmation([b"a", b"b"]) + b"".join(published(*message) for message in messages)
    batches: list[Heard] = []

    async def read() -> None:
        reader, _ = wired(interest(), batches)
        at, turn = 0, 0
        while at < len(stream):
            size = cuts[turn % len(cuts)]
            reader.data_received(stream[at : at + size])
            at, turn = at + size, turn + 1

    asyncio.run(read())

    for name in (b"a", b"b"):
        heard = [payload for batch in batches for payload in batch.get(name, [])]
        assert heard == [payload for channel, payload in messages if channel == name]


async def test_one_read_with_many_messages_is_one_batch() -> None:
    batches: list[Heard] = []
    reader, _ = wired(interest(), batches)

    reader.data_received(published(b"a", b"1") + published(b"b", b"2") + published(b"a", b"3"))

    assert batches == [{b"a": [b"1", b"3"], b"b": [b"2"]}]


async def test_answers_to_pings_are_signs_of_life_and_no_messages() -> None:
    batches: list[Heard] = []
    reader, wire = wired(interest(), batches)
    reader.last_heard -= 100

    reader.ping()
    reader.data_received(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n+PONG\r\n")

    assert wire.commands == [[b"PING"]]
    assert batches == []
    assert asyncio.get_running_loop().time() - reader.last_heard < 1


async def test_a_greeting_that_is_refused_says_why() -> None:
    reader, _ = wired(interest())
    greeting = asyncio.create_task(reader.greet("AUTH", "default", "wrong"))
    await asyncio.sleep(0)

    reader.data_received(b"-WRONGPASS invalid username-password pair\r\n")

    with pytest.raises(ConnectionError, match="AUTH: WRONGPASS"):
        await greeting


async def test_a_connection_lost_during_the_greeting_is_an_error_and_no_cancellation() -> None:
    reader, _ = wired(interest())
    greeting = asyncio.create_task(reader.greet("CLIENT", "SETNAME", "x"))
    await asyncio.sleep(0)

    reader.connection_lost(None)

    with pytest.raises(ConnectionError, match="hung up"):
        await greeting
    assert reader.lost.done()


async def test_a_greeting_on_a_connection_that_has_ended_is_an_error() -> None:
    reader, _ = wired(interest())
    reader.connection_lost(None)

    with pytest.raises(ConnectionError, match="hung up"):
        await reader.greet("CLIENT", "SETNAME", "x")


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_is_asked_on_a_connection_that_has_ended_is_lost_with_it(loop_factory: LoopFactory) -> None:
    async def ask() -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            loop = asyncio.get_running_loop()
            host, port = server.sockets[0].getsockname()
            _, reader = await loop.create_connection(lambda: RedisReader([].append, [].append), host, port)
            await reader.lost
            reader.subscribe([b"a"])
            reader.unsubscribe([b"a"])
            reader.ping()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(ask())


async def test_channels_of_a_cluster_are_asked_for_by_hash_tag_in_batches() -> None:
    wire = Wire()
    reader = RedisReader([].append, [].append, is_sharded=True)  # type: ignore[var-annotated]
    reader.connection_made(wire)
    names = [b"t:{%d}:user:%d" % (number % 2, number) for number in range(1100)]

    reader.subscribe(names)
    reader.unsubscribe(names[:1])

    assert [(command[0], len(command) - 1) for command in wire.commands] == [
        *[(b"SSUBSCRIBE", 512), (b"SSUBSCRIBE", 38)] * 2,
        (b"SUNSUBSCRIBE", 1),
    ]
    assert all(len({name[:5] for name in command[1:]}) == 1 for command in wire.commands)


async def test_what_a_node_of_a_cluster_says_of_channels_that_move_is_handed_on() -> None:
    ended: list[bytes] = []
    refused: list[str] = []
    heard: list[Heard] = []
    reader = RedisReader(heard.append, [].append, ended.append, refused.append, is_sharded=True)
    reader.connection_made(Wire())

    reader.data_received(confirmation([b"a"], b"ssubscribe") + published(b"a", b"1", b"smessage"))
    reader.data_received(confirmation([b"a"], b"sunsubscribe") + b"-MOVED 7 127.0.0.1:7001\r\n")

    assert heard == [{b"a": [b"1"]}]
    assert (ended, refused) == ([b"a"], ["MOVED 7 127.0.0.1:7001"])
