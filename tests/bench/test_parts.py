"""The pure parts of the bench."""

from __future__ import annotations

import json
from array import array

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.format.envelope import Envelope, unseal
from fairlead_gateway.bench import frames, stamps
from fairlead_gateway.bench.figures import Late, Report, notes, table
from fairlead_gateway.bench.machine import Cores
from fairlead_gateway.bench.meter import Spent
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.publisher import messages_due, unfinished
from fairlead_gateway.bench.stamps import Numbered, Template
from fairlead_gateway.bench.workloads.fanout import sampled_roles
from tests.bench.ratios import ratios

TWO_CORES = Cores(frozenset({0}), frozenset({1}))


def _server_frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def _report(target: str, rate: float, per_second: float, cpu: float) -> Report:
    return Report("fanout", target, "deliveries", {"rate": rate}, 1, per_second=per_second, cpu_us_per_unit=cpu)


def _found(stream: bytes, read: int) -> list[bytes]:
    """The payloads of *stream*, when it is read in pieces of *read* bytes."""
    walker = frames.Walker()
    pieces = (stream[at : at + read] for at in range(0, len(stream), read))
    return [payload for piece in pieces for _, payload in walker.feed(piece)]


@given(st.lists(st.sampled_from([0, 1, 125, 126, 200]), max_size=5), st.integers(1, 400))
def test_frames_are_found_wherever_the_reads_were_cut(sizes: list[int], read: int) -> None:
    payloads = [b"p" * size for size in sizes]

    assert _found(b"".join(map(_server_frame, payloads)), read) == payloads


@pytest.mark.parametrize("read", [4001, 65535, 65536, 65540, 200_000])
def test_large_frames_are_found_wherever_the_reads_were_cut(read: int) -> None:
    payloads = [b"p" * 65535, b"", b"q" * 65536]

    assert _found(b"".join(map(_server_frame, payloads)), read) == payloads


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_the_length_of_a_servers_frame_is_known_beforehand(size: int) -> None:
    assert frames.server_frame_bytes(size) == len(_server_frame(b"p" * size))


@given(st.binary(max_size=300))
def test_a_masked_frame_is_unmasked_to_what_was_said(payload: bytes) -> None:
    frame = frames.masked(payload)

    head = 2 if len(payload) < 126 else 4
    mask, body = frame[head : head + 4], frame[head + 4 :]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)) == payload


def test_a_stamped_message_is_json_of_the_size_asked_for() -> None:
    template = Template.around(stamps.payload(200))
    before = stamps.stamp()

    message = template.stamped()

    assert len(message) == 200
    assert before <= json.loads(message)["t"] <= stamps.stamp()


def test_a_stamp_is_found_inside_a_json_string_too() -> None:
    message = json.dumps(Template.around(stamps.payload(100)).stamped().decode()).encode()

    assert stamps.STAMP.search(message)


def test_messages_go_to_channels_in_turn_with_offsets_that_grow_by_one() -> None:
    frame = Envelope("m", "bench", stamps.payload(100)).seal()
    templates = [Template.around(b"\x93" + stamps.OFFSET + msgpack.packb(name) + frame) for name in ("a", "b")]

    deliveries = [unseal(message) for message in map(Numbered(templates, after=10), range(4))]

    assert [(delivery.epoch, delivery.offset) for delivery in deliveries] == [
        ("a", 11),
        ("b", 11),
        ("a", 12),
        ("b", 12),
    ]


def test_a_message_without_a_place_for_the_stamp_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly once"):
        Template.around(b"{}")


@pytest.mark.parametrize(
    ("elapsed", "rate", "due"), [(0.0, 10, 1), (0.05, 10, 1), (0.1, 10, 2), (99.0, 10, 50), (0.0, 0, 50)]
)
def test_messages_are_due_when_their_time_has_come_and_never_too_many(elapsed: float, rate: float, due: int) -> None:
    assert messages_due(int(elapsed * 1e9), count=50, rate=rate) == due


@pytest.mark.parametrize(("data", "rest"), [(b":1\r\n", b""), (b":1\r", b"\r"), (b":1", b"")])
def test_half_an_answer_is_kept_for_the_other_half(data: bytes, rest: bytes) -> None:
    assert unfinished(data, b"\r\n") == rest


@pytest.mark.parametrize(("sockets", "sampled"), [(1000, 25), (10, 25), (7, 3), (5, 0)])
def test_as_many_sockets_are_sampled_as_were_asked_for(sockets: int, sampled: int) -> None:
    roles = sampled_roles(sockets, sampled)

    assert len(roles) == sockets
    assert roles.count(Role.SAMPLED) == min(sockets, sampled)


def test_percentiles_are_taken_from_the_sorted_values() -> None:
    late = Late.of(array("q", [n * 1_000_000 for n in range(1000, -1, -1)]))

    assert late == Late(p50=500.0, p99=990.0, p999=999.0)
    assert Late.of(array("q")) is None


def test_a_busy_load_is_named_as_the_limit() -> None:
    spent = Spent(server=1.0, others={"redis": 0.2, "load 0": 0.95}, foreign=0.0, wall=1.0)

    assert spent.limits(TWO_CORES) == ["load 0 used 95% of a core"]


def test_a_core_that_many_filled_together_is_named_as_the_limit() -> None:
    spent = Spent(server=1.0, others={"redis": 0.45, "load 0": 0.5}, foreign=0.0, wall=1.0)

    assert spent.limits(TWO_CORES) == ["redis, publisher and load together used 95% of their cores"]


def test_strangers_on_the_servers_core_are_named() -> None:
    spent = Spent(server=0.5, others={"redis": 0.1}, foreign=0.3, wall=1.0)

    assert spent.limits(TWO_CORES) == ["strangers used 30% of the server's core"]


def test_an_idle_load_is_no_limit() -> None:
    assert Spent(server=1.0, others={"redis": 0.1}, foreign=0.0, wall=1.0).limits(TWO_CORES) == []


def test_what_was_not_measured_is_a_dash_in_the_table() -> None:
    report = Report("memory", "fairlead", "connections", {"sockets": 5}, 5, kb_per_connection=6.5, limited_by=["x"])

    head, row = table([report]).splitlines()

    assert row.split()[-4:] == ["6.50", "-", "-", "-"]
    assert len(head) == len(row)
    assert notes([report]) == ["fairlead memory: x; read CPU per unit, not the rate"]


def test_a_bar_is_missed_when_the_ratio_is_on_the_wrong_side() -> None:
    ours = [_report("fairlead", 100, 100_000, 5.0), _report("fairlead", 2500, 1_000_000, 0.5)]
    theirs = [_report("nchan", 100, 100_000, 5.0), _report("nchan", 400, 250_000, 4.0)]

    lines = ratios([*ours, *theirs])

    assert "CPU a delivery, ours to nchan's: 1.00, at most 1.1: reached" in lines
    assert "deliveries a second, ours to nchan's: 4.00, at least 5: MISSED" in lines
