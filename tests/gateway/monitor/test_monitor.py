"""The monitor counts what sits in a pool, under the names of the documents."""

from __future__ import annotations

from fairlead_gateway.monitor import ConnectionMonitor, Counters
from fairlead_gateway.pool import ConnectionPool


def pool_of_three() -> ConnectionPool[str]:
    """Two connections of alice, one of bob; two in the session, one in an instance."""
    pool: ConnectionPool[str] = ConnectionPool()
    for id, user in (("a1", "alice"), ("a2", "alice"), ("b1", "bob")):
        pool.enter(id, id)
        pool.join(id, f"user:{user}")
    for id in ("a1", "b1"):
        pool.join(id, "session:s1")
    pool.add("a2", "demo")
    return pool


def test_the_ten_figures_are_all_there_and_right() -> None:
    counters = Counters(messages_sent=9, messages_received=8, connections_opened=7, disconnections=6, errors=5)

    stats = ConnectionMonitor(pool_of_three(), counters).get_stats()

    assert stats == {
        "total_connections": 3,
        "active_connections": 3,
        "messages_sent": 9,
        "messages_received": 8,
        "disconnections": 6,
        "errors": 5,
        "active_users": 2,
        "active_sessions": 1,
        "total_user_connections": 3,
        "total_session_connections": 2,
    }


def test_who_moves_is_counted_where_it_is_now_and_the_quiet_are_not_active() -> None:
    pool, quiet = pool_of_three(), {"b1"}
    monitor = ConnectionMonitor(pool, None, quiet)
    figures = ("active_users", "active_sessions", "total_user_connections", "total_session_connections")

    def counted() -> tuple[int, ...]:
        stats = monitor.get_stats()
        return tuple(stats[name] for name in figures)

    assert (counted(), monitor.get_stats()["active_connections"]) == ((2, 1, 3, 2), 2)
    pool.join("a2", "session:s2")
    assert counted() == (2, 2, 3, 3)
    pool.leave("b1", "user:bob")
    quiet.clear()
    assert (counted(), monitor.get_stats()["active_connections"]) == ((1, 2, 2, 3), 3)
    pool.clear()
    assert counted() == (0, 0, 0, 0)


def test_an_empty_pool_counts_nothing_and_is_well() -> None:
    monitor = ConnectionMonitor(ConnectionPool[str]())

    assert set(monitor.get_stats().values()) == {0}
    assert (monitor.get_instance_stats(), monitor.list_active_instances()) == ({}, [])
    assert monitor.health_check() == {"status": "healthy", "connections": 0, "instances": 0}


def test_instances_are_listed_by_name_as_long_as_somebody_is_there() -> None:
    pool = pool_of_three()
    pool.add("b1", "another")
    monitor = ConnectionMonitor(pool)
    before = monitor.list_active_instances(), monitor.get_instance_stats()

    pool.remove("a2", "demo")

    assert before == (["another", "demo"], {"demo": {"connections": 1}, "another": {"connections": 1}})
    assert monitor.list_active_instances() == ["another"]
    assert monitor.get_instance_stats("demo") == {"instance": "demo", "connections": 0, "is_active": False}
    assert monitor.health_check()["instances"] == 1
