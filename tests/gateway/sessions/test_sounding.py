"""A round trip is measured when somebody asks, and the heartbeat knows nothing of it."""

from __future__ import annotations

import asyncio
import time

from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import heartbeat
from fairlead_gateway.sessions.sounding import GAP_SECONDS, Soundings
from tests.gateway.admin.crowd import lonely_replica, seat
from tests.gateway.patience import until
from tests.gateway.pool.sockets import connection, socket_of


async def asked(soundings: Soundings, one: Connection, seconds: float = 5.0) -> asyncio.Task[float | None]:
    """A sounding of *one* that is under way."""
    task = asyncio.create_task(soundings.round_trip_ms(one, seconds))
    await asyncio.sleep(0)
    return task


async def test_the_pong_with_the_same_payload_is_the_answer_and_no_other() -> None:
    soundings, one, other = Soundings(), connection(), connection()
    task = await asked(soundings, one)
    (payload,) = socket_of(one).pings
    for wrong in (b"", heartbeat.PING, payload[:-1], payload + b"x"):
        soundings.heard(one, wrong)
    soundings.heard(other, payload)
    soundings.heard_plain(one)
    await asyncio.sleep(0)
    assert not task.done()

    soundings.heard(one, payload)
    soundings.heard(one, payload)

    round_trip_ms = await task
    assert round_trip_ms is not None and 0 <= round_trip_ms < 5000


async def test_no_answer_is_none_and_nothing_is_kept() -> None:
    soundings, one = Soundings(), connection()

    assert await soundings.round_trip_ms(one, 0.01) is None
    soundings.heard(one, socket_of(one).pings[0])
    assert not soundings._under_way


async def test_a_pong_that_says_nothing_answers_where_pongs_never_do() -> None:
    soundings, one = Soundings(), connection()
    socket_of(one).echoes_pings = False
    task = await asked(soundings, one)

    soundings.heard_plain(one)

    assert await task is not None


async def test_many_who_ask_at_once_cost_one_ping() -> None:
    soundings, one = Soundings(), connection()
    tasks = [await asked(soundings, one) for _ in range(50)]
    soundings.heard(one, socket_of(one).pings[0])
    answers = {await task for task in tasks}
    again = await soundings.round_trip_ms(one, 5.0)

    assert len(socket_of(one).pings) == len(answers) == 1
    assert again in answers

    began = time.monotonic()
    await until(lambda: time.monotonic() - began > GAP_SECONDS)
    task = await asked(soundings, one)
    assert len(socket_of(one).pings) == 2
    task.cancel()


async def test_the_heartbeat_neither_sees_a_sounding_nor_takes_a_pong_that_it_has_not_asked_for() -> None:
    replica = lonely_replica()
    one = seat(replica, "42")
    one.last_ping, one.last_pong = 100.0, 100.02
    task = await asked(replica.soundings, one)

    heartbeat.answered(replica, one, socket_of(one).pings[0])
    heartbeat.answered(replica, one, heartbeat.PING)
    task.cancel()

    assert (one.last_ping, one.last_pong, one.round_trip_ms) == (100.0, 100.02, 20.0)
