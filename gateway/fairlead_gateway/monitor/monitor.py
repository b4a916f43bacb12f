"""ConnectionMonitor: how many are connected here, where, and whether all is well (ADM-3)."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from fairlead.names import channel as channel_name
from fairlead.names import id_of
from fairlead_gateway.monitor.counters import Counters
from fairlead_gateway.pool import ConnectionPool


class ConnectionMonitor:
    """
    Statistics of one pool; the names are those of the source documents.

    :param quiet: connections of the pool that have not been heard of within their heartbeat.
    """

    def __init__(self, pool: ConnectionPool[Any], counters: Counters | None = None, quiet: Sized = ()) -> None:
        self._pool = pool
        self._counters = counters or Counters()
        self._quiet = quiet
        self._people: dict[str, int] = {}
        self._moves = -1

    def get_stats(self) -> dict[str, int]:
        """The ten figures of this replica."""
        counters = self._counters
        return {
            "total_connections": len(self._pool),
            "active_connections": len(self._pool) - len(self._quiet),
            "messages_sent": counters.messages_sent,
            "messages_received": counters.messages_received,
            "disconnections": counters.disconnections,
            "errors": counters.errors,
            **self._counted_people(),
        }

    def _counted_people(self) -> dict[str, int]:
        """Who sits where; counted again only when somebody has sat down or got up, as there may be very many."""
        if self._moves != self._pool.moves:
            self._moves = self._pool.moves
            users = [count for _, count in self._pool.channels("user")]
            sessions = [count for _, count in self._pool.channels("session")]
            self._people = {
                "active_users": len(users),
                "active_sessions": len(sessions),
                "total_user_connections": sum(users),
                "total_session_connections": sum(sessions),
            }
        return self._people

    def get_instance_stats(self, instance_name: str | None = None) -> dict[str, Any]:
        """Connections of one instance, or of each that has any."""
        if instance_name is None:
            return {id_of(name): {"connections": count} for name, count in self._pool.channels("instance")}
        count = len(self._pool.members(channel_name("instance", instance_name)))
        return {"instance": instance_name, "connections": count, "is_active": count > 0}

    def list_active_instances(self) -> list[str]:
        """Instances with at least one connection here."""
        return sorted(id_of(name) for name, _ in self._pool.channels("instance"))

    def health_check(self) -> dict[str, Any]:
        """Whether this replica counts itself well; `WebSocketManager.health_check` knows about Redis too."""
        return {"status": "healthy", "connections": len(self._pool), "instances": len(self.list_active_instances())}
