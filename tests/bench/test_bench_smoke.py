"""Every workload runs, counts exactly, and says what it found; how fast is not a matter for a test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead_gateway.bench.figures import Report
from fairlead_gateway.bench.ground import Ground, StartFailed, ground
from fairlead_gateway.bench.replica import Replica
from fairlead_gateway.bench.target import Target
from fairlead_gateway.bench.workloads.ask import Ask
from fairlead_gateway.bench.workloads.connect import Connect
from fairlead_gateway.bench.workloads.echo import Echo
from fairlead_gateway.bench.workloads.fanout import Fanout
from fairlead_gateway.bench.workloads.memory import Memory
from fairlead_gateway.bench.workloads.recover import Recover
from fairlead_gateway.bench.workloads.stalled import Stalled
from fairlead_gateway.bench.workloads.tasks import Tasks
from fairlead_gateway.bench.workloads.unicast import Unicast
from tests.bench.peers import PEERS

FIELDS = {
    "workload",
    "target",
    "unit",
    "parameters",
    "units",
    "lost",
    "per_second",
    "cpu_us_per_unit",
    "server_cores",
    "kb_per_connection",
    "late_ms",
    "closed",
    "limited_by",
    "load_cores",
    "extra",
    "machine",
}

TINY_FANOUT = Fanout(sockets=12, rates=(50,), size=200, seconds=0.4, warm_seconds=0.1, sampled=3)


@pytest.fixture
def place() -> Iterator[Ground]:
    with ground() as place:
        yield place


def _exactly(reports: Sequence[Report], units: int) -> None:
    assert [(report.units, report.lost, dict(report.extra)) for report in reports] == [(units, 0, {})]


def test_fanout_counts_every_delivery(place: Ground) -> None:
    reports = list(TINY_FANOUT(place, Replica()))

    _exactly(reports, units=12 * 20)
    assert reports[0].late_ms
    assert set(json.loads(reports[0].json_line())) == FIELDS


@pytest.mark.parametrize("durable", [True, False])
def test_unicast_counts_every_message(place: Ground, durable: bool) -> None:
    workload = Unicast(users=10, rate=200, durable=durable, seconds=0.5, warm_seconds=0.1, sampled=3)

    reports = list(workload(place, Replica()))

    _exactly(reports, units=100)
    assert reports[0].late_ms


def test_tasks_counts_every_update(place: Ground) -> None:
    reports = list(Tasks(tasks=10, rate=200, seconds=0.5, warm_seconds=0.1)(place, Replica()))

    _exactly(reports, units=100)
    assert reports[0].late_ms


def test_connect_counts_every_handshake(place: Ground) -> None:
    (report,) = Connect(sockets=20, in_flight=4, warm=5)(place, Replica())

    assert report.units == 20
    assert report.late_ms


def test_echo_counts_answered_actions(place: Ground) -> None:
    (report,) = Echo(sockets=3, seconds=0.3, warm_seconds=0.1)(place, Replica())

    assert report.units > 0
    assert report.closed == {}


def test_ask_counts_answered_questions(place: Ground) -> None:
    alone, among = Ask(users=2, rate=20, pending=5, seconds=0.5, warm=2)(place, Replica())

    assert (alone.parameters["pending"], among.parameters["pending"]) == (0, 5)
    for report in (alone, among):
        assert (report.units, report.lost) == (10, 0)
        assert report.late_ms is not None
        assert report.closed == {}


@pytest.mark.parametrize("shared", [False, True])
def test_recover_gives_everybody_what_it_missed(place: Ground, shared: bool) -> None:
    (report,) = Recover(sockets=30, missed=5, shared=shared)(place, Replica())

    assert (report.units, report.unit) == (30, "clients")
    assert report.late_ms is not None


def test_memory_says_how_much_a_connection_holds(place: Ground) -> None:
    (report,) = Memory(sockets=20, warm=5)(place, Replica())

    assert report.kb_per_connection is not None
    assert float(report.extra["server_kb"]) > 0


def test_stalled_compares_rounds_with_and_without(place: Ground) -> None:
    workload = Stalled(sockets=20, rate=50, size=200, seconds=0.4, rounds=1, sampled=5)

    without, with_, compared = workload(place, Replica())

    assert (without.units, without.lost) == (20 * 20, 0)
    assert (with_.units, with_.lost) == (18 * 20, 0)
    assert float(compared.extra["p99_ratio"]) > 0


@pytest.mark.parametrize("peer", [peer for peer in PEERS if not peer.missing()], ids=lambda peer: peer.name)
def test_every_installed_peer_is_counted_as_exactly_as_ours(place: Ground, peer: Target) -> None:
    reports = list(replace(TINY_FANOUT, rates=(10,))(place, peer))

    _exactly(reports, units=12 * 4)


def test_a_server_that_does_not_start_is_reported_with_what_it_said(place: Ground, tmp_path: Path) -> None:
    child = place.spawn(["python3", "-c", "raise SystemExit('no port for me')"], {})

    with pytest.raises(StartFailed, match="no port for me"):
        place.serving(child, 1, "/")
