"""Statuses: who is online, told to those who may see it; at most once each time (ST-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from fairlead.names import Names
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import SCRIPTS, Lane
from fairlead_gateway.facts.news import EVERYBODY, status_line, status_news

_STATUS: Final = load("status", SCRIPTS)


class Statuses:
    """
    Says who has come online and who has gone.

    :param people_limit: a session with more people than this hears nothing of it, or a crowd that comes at once would
        cost the square of itself.
    """

    def __init__(self, lane: Lane, names: Names, people_limit: int) -> None:
        self._lane = lane
        self._names = names
        self._people_limit = people_limit

    def tell(self, user_id: str, sessions: Iterable[str], last_seen: float | None = None) -> list[asyncio.Future[Any]]:
        """
        Tell *sessions* (channels), and the topic of everybody, that a user is online, or that it is offline.

        :param last_seen: when it left, in ms since the epoch; None while it is online.
        :returns: the answers of Redis, which need not be awaited.
        """
        told = [self._lane.call("PUBLISH", self._names.pubsub(EVERYBODY), status_line(user_id, last_seen))]
        for session in sessions if self._people_limit else ():
            keys, args = (self._names.people(session),), (self._people_limit, self._names.pubsub(session))
            told.append(self._lane.run(_STATUS, keys, (*args, _sealed(session, user_id, last_seen))))
        return told


def _sealed(name: str, user_id: str, last_seen: float | None) -> bytes:
    return status_news(name, user_id, last_seen).seal()
