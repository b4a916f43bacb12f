"""A connection hears nothing before its greeting, and is described without giving secrets away."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.gateway.pool.sockets import connection, socket_of


def test_after_the_greeting_writes_go_straight_to_the_socket() -> None:
    client = connection()
    client.go_live(b"<greeting>")

    client.write(b"<push>")

    assert socket_of(client).writes == [b"<greeting>", b"<push>"]
    assert client.is_live


def test_the_round_trip_is_unknown_before_the_first_pong_and_between_ping_and_pong() -> None:
    client = connection()
    before_any = client.round_trip_ms
    client.last_ping = 100.0
    unanswered = client.round_trip_ms
    client.last_pong = 100.025
    answered = client.round_trip_ms

    assert (before_any, unanswered, answered) == (None, None, 25.0)


def test_its_description_holds_who_where_and_since_when() -> None:
    client = connection("7", id="c-7")
    client.session_id = "s1"
    client.joined = True

    info = client.info("replica-1")

    assert (info.connection_id, info.user_id, info.session_id, info.instance) == ("c-7", "7", "s1", None)
    assert info.connected_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (info.last_ping, info.last_pong, info.round_trip_ms) == (None, None, None)
    assert (info.is_alive, info.replica, info.address) == (True, "replica-1", "192.0.2.1")
