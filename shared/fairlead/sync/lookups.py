"""As `fairlead.backend.lookups`, blocking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from fairlead.names import Names
from fairlead.redis.query import Answer, Query
from fairlead.state import devices, instances, presence, statistics, tasks
from fairlead.state.devices import DeviceId
from fairlead.state.instances import Instance
from fairlead.state.presence import Member, OnlinePage
from fairlead.state.task import Task


class SyncLookups(ABC):
    """As `fairlead.backend.lookups.Lookups`."""

    _names: Names

    @abstractmethod
    def _ask(self, query: Query[Answer]) -> Answer:
        """The answer of Redis."""

    def get_task(self, task_id: str | int) -> Task | None:
        """A task as it stands; None where there is no such task, or not any more."""
        return self._ask(tasks.task_of(self._names, task_id))

    def is_cancelled(self, task_id: str | int) -> bool:
        """Whether a task was cancelled; cheap enough to ask before every step."""
        return self._ask(tasks.is_cancelled(self._names, task_id))

    def grant_session(self, session_id: str, user_ids: Iterable[str]) -> None:
        """Let users join a session."""
        self._ask(presence.grant_session(self._names, session_id, user_ids))

    def revoke_session(self, session_id: str, user_ids: Iterable[str]) -> None:
        """Let users no longer join a session; who is in it stays."""
        self._ask(presence.revoke_session(self._names, session_id, user_ids))

    def online_users(self) -> set[str]:
        """Users with at least one connection."""
        return self._ask(presence.online_users(self._names))

    def online_count(self) -> int:
        """How many users have at least one connection."""
        return self._ask(presence.online_count(self._names))

    def online_page(self, cursor: str = "", limit: int = 1000) -> OnlinePage:
        """As `Backend.online_page`."""
        counts = self._ask(presence.online_counts(self._names, cursor))
        return self._ask(presence.online_part(self._names, cursor, counts, limit))

    def iter_online(self) -> Iterator[str]:
        """Users with at least one connection, each once, page by page; for fleets with very many."""
        cursor, is_first = "", True
        while cursor or is_first:
            users, cursor = self.online_page(cursor)
            is_first = False
            yield from users

    def stats(self) -> dict[str, int]:
        """The ten figures of all replicas together, as of a second ago."""
        return self._ask(statistics.latest(self._names))

    def last_seen(self, user_id: str) -> datetime | None:
        """When a user was last connected: now if it is, None if not within the last thirty days."""
        return self._ask(presence.last_seen(self._names, user_id))

    def device_state(self, device_id: DeviceId) -> dict[str, Any] | None:
        """The last `device_status` of a device, as its watchers got it; None if there was none for a month."""
        return self._ask(devices.device_state(self._names, device_id))

    def is_online(self, user_id: str) -> bool:
        """Whether a user has a connection."""
        return self._ask(presence.is_online(self._names, user_id))

    def presence(self, channel: str) -> list[Member]:
        """Connections that are in a channel now."""
        return self._ask(presence.members_of(self._names, channel))

    def get_instance(self, instance_name: str) -> Instance:
        """The document of an instance, and its version; version 0 and an empty one where there is none."""
        return self._ask(instances.standing(self._names, instance_name)).instance()

    def list_active_instances(self) -> list[str]:
        """Instances that somebody watches, on any replica, as of some seconds ago."""
        return sorted(self.instance_counts())

    def instance_counts(self) -> dict[str, int]:
        """How many connections are in each instance, over all replicas, as of some seconds ago."""
        alive = self._ask(presence.replicas_alive(self._names))
        return self._ask(presence.instance_counts(self._names, alive))
