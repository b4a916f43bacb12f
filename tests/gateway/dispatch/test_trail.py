"""The trail: what passed is found by its id, in bounded memory."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import structlog

from fairlead_gateway.dispatch.dispatcher import MessageDispatcher
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.trail import FOUND, STATIONS, At, Trail, places_of
from fairlead_gateway.pool import Connection, ConnectionPool
from tests.gateway.pool.sockets import connection

WHO = ("42", "c1", "phone")


def without_time(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in step.items() if name != "at"} for step in steps]


def message(id: str, offset: int = 0, epoch: str = "", exclude: str = "") -> Outgoing:
    return Outgoing(b"{}", exclude, offset, epoch, id)


def test_a_message_is_found_with_everything_its_stations_know() -> None:
    trail = Trail(10)

    trail.note("received", "m1", "session:s", "42", "c1", "message")
    trail.relayed("session:s", [message("m0", 6, "e.t"), message("m1", 7, "e.t", "connection:c1")], 3)

    assert without_time(trail.of("m1")) == [
        {"station": "received", "channel": "session:s", "user_id": "42", "connection_id": "c1", "action": "message"},
        {
            "station": "relayed",
            "channel": "session:s",
            "offset": 7,
            "epoch": "e.t",
            "sockets": 3,
            "exclude": "connection:c1",
        },
    ]
    assert trail.of("another") == []


def test_the_oldest_makes_room_for_the_latest() -> None:
    trail = Trail(2)

    for number in range(3):
        trail.relayed("topic:t", [message(f"m{number}")], 1)

    assert trail.of("m0") == []
    assert trail.of("m1") and trail.of("m2")


def test_a_trail_of_no_size_remembers_nothing() -> None:
    trail = Trail(0)

    trail.note("dropped", "m1", "topic:t", "unavailable", "redis is away")
    trail.stretch("replayed", "user:42", 1, 9, "e", *WHO)

    assert trail.of("m1", [At("user:42", 5, "e")]) == []


def test_stretches_are_told_of_messages_within_them_and_of_each_connection_once() -> None:
    trail = Trail(10)

    trail.stretch("replayed", "user:42", 5, 9, "e.t1", *WHO)
    trail.stretch("acknowledged", "user:42", 1, 6, "e.t1", *WHO, "cursor")
    trail.stretch("acknowledged", "user:42", 1, 9, "e.t1", *WHO, "cursor")
    trail.stretch("replayed", "user:43", 1, 9, "e.t1", *WHO)

    def stations(offset: int, epoch: str = "e.t1") -> list[str]:
        return [step["station"] for step in trail.of("m", [At("user:42", offset, epoch)])]

    assert stations(4) == ["acknowledged"]
    assert stations(6) == ["replayed", "acknowledged"]
    assert stations(10) == []
    assert stations(6, "e.t2") == stations(6, "") == ["replayed", "acknowledged"]
    assert stations(6, "f.t1") == []


def test_a_message_that_passed_here_is_within_stretches_by_itself() -> None:
    trail = Trail(10)

    trail.relayed("user:42", [message("m", 3, "e.t")], 0)
    trail.stretch("replayed", "user:42", 1, 3, "e.t", *WHO)

    assert [step["station"] for step in trail.of("m")] == ["relayed", "replayed"]


def test_what_was_forged_in_redis_takes_no_more_room_than_anything_else() -> None:
    trail = Trail(10)

    trail.relayed("user:42", [message("i" * 10**6, 1, "e" * 10**6, "x" * 10**6)], 1)

    (step,) = trail.of("i" * 128)
    assert sys.getsizeof(step["epoch"]) + sys.getsizeof(step["exclude"]) < 1000


def test_no_more_is_told_than_an_answer_can_carry() -> None:
    trail = Trail(2 * FOUND)

    for _ in range(2 * FOUND):
        trail.note("acknowledged", "m", "user:42", *WHO, "duplicate")

    assert len(trail.of("m")) == FOUND


@pytest.mark.parametrize(
    "step",
    [{"channel": "user:42", "offset": 0, "epoch": "e"}, {"channel": "user:42", "offset": "1", "epoch": "e"}, {}],
    ids=str,
)
def test_a_step_without_a_place_has_none(step: dict[str, Any]) -> None:
    assert places_of([step]) == set()


def test_the_log_says_the_same_as_the_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not `capture_logs`, which hears nothing of debug once a test has set another level for the process.
    heard = structlog.testing.LogCapture()
    log = structlog.wrap_logger(None, processors=[heard], wrapper_class=structlog.BoundLogger)
    monkeypatch.setattr("fairlead_gateway.dispatch.trail.log", log)

    Trail(0, logs=True).note("published", "m1", "user:42", 7, "e.t", False, 2, 1.5)

    assert heard.entries == [
        {
            "event": "message published",
            "log_level": "debug",
            "message_id": "m1",
            "channel": "user:42",
            **dict(zip(STATIONS["published"], (7, "e.t", False, 2, 1.5), strict=True)),
        }
    ]


async def test_the_dispatcher_leaves_a_trail_of_what_it_hands_on_even_to_nobody() -> None:
    trail = Trail(10)
    pool: ConnectionPool[Connection] = ConnectionPool()
    dispatcher = MessageDispatcher(pool, trail=trail)

    dispatcher.deliver("topic:t", [message("m1")])
    pool.join(connection("42"), "topic:t")
    dispatcher.deliver("topic:t", [message("m2"), message("m3")])

    assert [trail.of(id)[0]["sockets"] for id in ("m1", "m2", "m3")] == [0, 1, 1]
