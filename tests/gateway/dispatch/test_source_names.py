"""A dispatcher over a pool alone, by the names of the source documents: it serves the members of that pool."""

from __future__ import annotations

import json

import pytest

from fairlead.errors import InvalidMessage
from fairlead_gateway import ConnectionMonitor, ConnectionPool, MessageDispatcher
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.pool.meter import Meter
from fairlead_gateway.wire.parser import FrameParser
from tests.gateway.pool.sockets import RecordingSocket


def member(name: str) -> tuple[Connection, RecordingSocket]:
    socket = RecordingSocket()
    return Connection(name, Identity("42"), socket, Format.JSON, Meter(), 0.0), socket


def heard(socket: RecordingSocket) -> list[dict[str, object]]:
    parser = FrameParser(1 << 20, from_client=False)
    parser.feed(socket.bytes_written)
    frames = []
    while (event := parser.next()) is not None:
        frames.append(json.loads(event[1]))
    return frames


async def test_a_patch_reaches_the_members_of_its_instance_and_nobody_else() -> None:
    pool: ConnectionPool[Connection] = ConnectionPool()
    (inside, inside_socket), (outside, outside_socket) = member("in"), member("out")
    pool.add(inside, "demo")
    pool.add(outside, "other")

    assert await MessageDispatcher(pool).send_patch("demo", {"key": "value"}, patch_id=1, base_version=7) is True

    (frame,) = heard(inside_socket)
    assert (frame["type"], frame["patch"], frame["patch_id"], frame["base_version"]) == (
        "patch",
        {"key": "value"},
        1,
        7,
    )
    assert not heard(outside_socket)


async def test_a_broadcast_reaches_every_instance() -> None:
    pool: ConnectionPool[Connection] = ConnectionPool()
    members = [member(name) for name in ("a", "b")]
    for connection, _ in members:
        pool.add(connection, f"instance-of-{connection.id}")

    await MessageDispatcher(pool).broadcast({"type": "maintenance"})

    assert [[frame["type"] for frame in heard(socket)] for _, socket in members] == [["maintenance"]] * 2


async def test_a_message_to_an_instance_is_checked_like_any_other() -> None:
    with pytest.raises(InvalidMessage):
        await MessageDispatcher(ConnectionPool()).send_to_instance("no such id!", {"type": "x"})


def test_the_monitor_counts_a_pool_alone() -> None:
    pool: ConnectionPool[Connection] = ConnectionPool()
    pool.add(member("a")[0], "demo")

    stats = ConnectionMonitor(pool).get_stats()

    assert "total_connections" in stats
    assert ConnectionMonitor(pool).list_active_instances() == ["demo"]
