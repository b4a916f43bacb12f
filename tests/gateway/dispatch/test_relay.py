"""What Redis published is taken apart as hostile bytes, and handed on in order."""

from __future__ import annotations

import asyncio

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead import codes
from fairlead.format.control import CloseOrder, close_order
from fairlead.format.envelope import CONTROL, VERSION, Envelope
from fairlead.format.messages import push
from fairlead.format.position import Position
from fairlead.names import DURABLE_KINDS, Names
from fairlead_gateway.dispatch.dispatcher import MessageDispatcher
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.relay import Relay
from fairlead_gateway.dispatch.tracks import Tracks
from fairlead_gateway.pool import Connection, ConnectionPool, Format
from fairlead_gateway.pool.counted import Counted
from tests.gateway.dispatch.heard import messages_of
from tests.gateway.dispatch.wires import wired
from tests.gateway.pool.sockets import connection

NAMES = Names("t")
PROBE = NAMES.probe("r1")
TOPIC = NAMES.pubsub("topic:t").encode()


def unasked(channel: str, since: Position | None) -> asyncio.Future[object]:
    raise AssertionError("a topic has no log to ask")


class Station:
    """A relay in front of one channel with a member of each format."""

    def __init__(self) -> None:
        self.pool: ConnectionPool[Connection] = ConnectionPool()
        self.members = [connection(f"u{format}", id=f"c{format}", format=format) for format in Format]
        for member in self.members:
            self.pool.join(member, "topic:t")
        self.orders: list[tuple[str, CloseOrder, str]] = []
        self.heard_when_ordered: list[int] = []
        self.probes = 0
        self.interest = Interest(NAMES, lambda channel: True, PROBE)
        dispatcher = MessageDispatcher(self.pool, lambda: None, lambda: None)
        self.counted = Counted()
        tracks = Tracks(unasked, dispatcher.deliver, DURABLE_KINDS, 0, 0)
        self.relay = Relay(self.interest, dispatcher, tracks, self._obey, self._probed, counted=self.counted)

    def _obey(self, channel: str, order: CloseOrder, spared: str) -> None:
        self.orders.append((channel, order, spared))
        self.heard_when_ordered.append(len(messages_of(self.members[0])))

    def _probed(self, name: bytes) -> None:
        assert name == PROBE.encode()
        self.probes += 1

    def hear(self, *payloads: bytes, name: bytes = TOPIC) -> None:
        self.relay.heard({name: list(payloads)})


@pytest.fixture
async def station() -> Station:
    return await listening()


async def listening() -> Station:
    """A station that has subscribed to its topic."""
    station = Station()
    reader, _ = wired(station.interest)
    station.interest.serve(reader)
    want = asyncio.create_task(station.interest.want("topic:t"))
    await asyncio.sleep(0)
    station.interest.confirmed(TOPIC)
    await want
    return station


def sealed(text: str, exclude: str = "") -> bytes:
    return push({"type": "news", "content": text}, "topic:t", exclude=exclude).seal()


def positioned(offset: int, envelope: bytes, epoch: str = "e.1") -> bytes:
    """As the publish script puts a position in front."""
    return b"\x93" + msgpack.packb(offset) + msgpack.packb(epoch) + envelope


async def test_an_envelope_reaches_each_member_with_its_fields(station: Station) -> None:
    station.hear(sealed("hello"))

    for member in station.members:
        (message,) = messages_of(member)
        assert (message["type"], message["content"], message["channel"]) == ("news", "hello", "topic:t")
        assert "offset" not in message


async def test_the_position_of_a_durable_message_is_put_into_the_frame(station: Station) -> None:
    station.hear(positioned(17, sealed("hello")))

    assert {messages_of(member)[0]["offset"] for member in station.members} == {17}


async def test_who_is_excluded_is_spared(station: Station) -> None:
    station.hear(sealed("one", exclude="connection:c0"), sealed("two", exclude="user:u1"))

    contents = [[message["content"] for message in messages_of(member)] for member in station.members]
    assert contents == [["two"], ["one"], ["one", "two"], ["one", "two"]]


async def test_plain_json_of_any_language_is_made_into_a_message(station: Station) -> None:
    station.hear(b'{"type":"price","content":{"eur":9.5},"id":"p-1"}')

    (message,) = messages_of(station.members[0])
    assert (message["type"], message["content"], message["id"]) == ("price", {"eur": 9.5}, "p-1")
    assert (message["from"], message["channel"]) == ("system", "topic:t")


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00",
        b"hello",
        b"{",
        b"{}",
        b'{"type":7}',
        b'{"type":"x","content":1e999}',
        b'{"type":"x","content":' + b"[" * 5000,
        b"\x93\x01\xa1e",
        msgpack.packb([VERSION, "id", "news", "", 0, "", b"not json"]),
        msgpack.packb([VERSION, "id", "news", "", 0, "", b'{"cut":']),
        msgpack.packb([VERSION, "id", "news", "", 0, "", b"{}"]),
        msgpack.packb([VERSION, "id", "news", "", 0, "", '{"text":1}']),
        msgpack.packb([VERSION, "id", "news", "", 0, "", b'{"\xff":1}']),
        msgpack.packb([VERSION, "id", "news", [], 0, "", b'{"a":1}']),
        msgpack.packb([VERSION, "id", "news", 7, 0, "", b'{"a":1}']),
        msgpack.packb([VERSION, "id", "news", "", "0", "", b'{"a":1}']),
        msgpack.packb([VERSION, "id", "news", "", None, "", b'{"a":1}']),
        msgpack.packb([VERSION, 1, {}, "", 0, "", b'{"a":1}']),
        msgpack.packb([0, "id", "news", "", 0, "", b'{"a":1}']),
        msgpack.packb([VERSION, "id", "control", "", CONTROL, "", b'{"op":"close","code":9,"reason":""}']),
        msgpack.packb([VERSION, "id", "control", "", CONTROL, "", b'{"op":7}']),
        msgpack.packb([VERSION, "id", "control", "", CONTROL, "", b'{"op":"close","code":4003,"reason":null}']),
        positioned(2**63, b"\xc0"),
    ],
)
async def test_garbage_from_redis_is_dropped_and_counted(station: Station, garbage: bytes) -> None:
    station.hear(sealed("before"), garbage, sealed("after"))

    for member in station.members:
        assert [message["content"] for message in messages_of(member)] == ["before", "after"]
    assert station.counted.messages_dropped == 1
    assert station.orders == []


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=8), st.binary(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
FRAMES = st.one_of(st.just(b'{"a":1}'), st.binary(max_size=12).map(lambda inner: b"{" + inner + b"}"), VALUES)
ENVELOPES = st.lists(VALUES, max_size=9) | st.tuples(
    st.integers(0, 3), st.text(max_size=4) | VALUES, st.text(max_size=4) | VALUES, VALUES, VALUES, VALUES, FRAMES
).map(list)
FORGED = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda tail: b"{" + tail),
    ENVELOPES.map(msgpack.packb),
    st.tuples(VALUES, VALUES, ENVELOPES).map(lambda whole: msgpack.packb(list(whole))),
)


@settings(max_examples=60)
@given(st.lists(FORGED, max_size=4))
@example([b"\x93\xc0\xc0\xc0"])
def test_whatever_bytes_are_forged_nothing_is_raised_and_the_next_message_comes_through(forged: list[bytes]) -> None:
    async def hear() -> Station:
        station = await listening()
        station.hear(*forged, sealed("true"))
        return station

    station = asyncio.run(hear())

    for member in station.members[1::2]:
        assert messages_of(member)[-1]["content"] == "true"


async def test_a_close_order_is_obeyed_and_reaches_no_client(station: Station) -> None:
    order = close_order(codes.KICKED.code, codes.KICKED.reason("by hand"), exclude="connection:c2")

    station.hear(order.seal())

    assert station.orders == [("topic:t", CloseOrder(4003, "kicked: by hand"), "connection:c2")]
    assert messages_of(station.members[0]) == []


async def test_messages_before_a_close_order_are_handed_on_before_it_is_obeyed(station: Station) -> None:
    station.hear(sealed("last words"), close_order(codes.KICKED.code, "kicked").seal())

    assert station.heard_when_ordered == [1]


async def test_an_order_of_a_later_version_is_passed_over(station: Station) -> None:
    station.hear(Envelope("1", "control", b'{"op":"dance"}', "", CONTROL).seal())

    assert (station.orders, station.counted.messages_dropped) == ([], 0)
    assert messages_of(station.members[0]) == []


async def test_an_envelope_of_a_later_version_with_more_fields_is_understood(station: Station) -> None:
    envelope = [VERSION + 1, "id", "news", "", 0, "", b'{"content":"later"}', "a field of tomorrow"]

    station.hear(msgpack.packb(envelope))

    assert messages_of(station.members[1]) == [{"content": "later"}]


async def test_who_looks_sees_messages_and_no_orders_and_changes_nothing(station: Station) -> None:
    seen: list[tuple[object, ...]] = []
    station.relay.note = lambda *message: seen.append(message)
    order = close_order(codes.KICKED.code, "kicked").seal()

    station.hear(positioned(17, sealed("one", "user:u1")), order, b'{"type":"price","id":"p-1"}', b"garbage")
    station.relay.note = None
    station.hear(sealed("unseen"))

    assert [(channel, type, exclude, offset) for channel, _, type, exclude, offset, _ in seen] == [
        ("topic:t", "news", "user:u1", 17),
        ("topic:t", "price", "", 0),
    ]
    assert [message["type"] for message in messages_of(station.members[0])] == ["news", "price", "news"]


async def test_hearing_itself_is_told_and_reaches_no_client(station: Station) -> None:
    station.hear(b"1", name=PROBE.encode())

    assert station.probes == 1
    assert messages_of(station.members[0]) == []


async def test_what_comes_on_a_channel_that_was_given_up_is_nobodys(station: Station) -> None:
    station.hear(sealed("late"), name=b"t:{1}:topic:gone")

    assert messages_of(station.members[0]) == []
    assert station.counted.messages_dropped == 0
