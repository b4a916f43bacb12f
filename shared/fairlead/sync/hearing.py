"""As `fairlead.backend.hearing`, blocking."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar, Unpack
from weakref import WeakSet

from fairlead.names import Names
from fairlead.redis.patience import patiently_sync
from fairlead.redis.sync_shards import SyncShards
from fairlead.streams import events as of_events
from fairlead.streams import history
from fairlead.streams import inbound as of_clients
from fairlead.streams.answers import Outcome
from fairlead.streams.entries import LATEST
from fairlead.streams.events import Event
from fairlead.streams.feeds import Wish, Wishes
from fairlead.streams.groups import Entry
from fairlead.streams.history import PastConnection
from fairlead.streams.inbound import Inbound, Push, Reply, Way
from fairlead.sync.answering import SyncAnswering
from fairlead.sync.feeds import SyncFeed
from fairlead.sync.publisher import SyncPublisher

T = TypeVar("T")


class SyncHearing:
    """As `fairlead.backend.hearing.Hearing`; each feed for one thread."""

    def __init__(
        self,
        shards: SyncShards,
        names: Names,
        publisher: SyncPublisher,
        *,
        sender: str,
        timeout_seconds: float,
    ) -> None:
        self._shards = shards
        self._names = names
        self._publisher = publisher
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._answering = SyncAnswering(shards, names, publisher, sender=sender, timeout_seconds=timeout_seconds)
        self._feeds: WeakSet[SyncFeed[Any]] = WeakSet()

    def events(self, group: str, **wishes: Unpack[Wishes]) -> SyncFeed[Event[None]]:
        """See `fairlead.SyncBackend.events`."""
        wish = Wish(group, **wishes)

        def read(entry: Entry) -> Event[None] | None:
            event = of_events.read(entry, partial(feed.acknowledge, entry.id, self._timeout_seconds))
            return event if wish.is_for(event.name) else None

        feed = self._feed(SyncFeed(self._shards, self._names, self._names.events, wish, read))
        return feed

    def inbound(self, group: str, **wishes: Unpack[Wishes]) -> SyncFeed[Inbound[None, Outcome]]:
        """See `fairlead.SyncBackend.inbound`."""
        wish = Wish(group, **wishes)

        def read(entry: Entry) -> Inbound[None, Outcome] | None:
            acknowledge = partial(feed.acknowledge, entry.id, self._timeout_seconds)
            said = of_clients.read(entry, group, self._sender, acknowledge, self._respond)
            return said if wish.is_for(said.type) else None

        feed = self._feed(SyncFeed(self._shards, self._names, self._names.inbound, wish, read))
        return feed

    def connection_history(self, user_id: str | None, count: int) -> list[PastConnection]:
        """See `fairlead.SyncBackend.connection_history`."""
        found: list[PastConnection] = []
        before = LATEST
        while before and len(found) < count:
            (reply,) = patiently_sync(self._timeout_seconds, self._shards.ask, history.page(self._names, before))
            records, before = history.paged(reply)
            found += history.chosen(records, user_id)
        return found[:count]

    def close(self) -> None:
        """End the loops over feeds."""
        for feed in list(self._feeds):
            feed.close()

    def _feed(self, feed: SyncFeed[T]) -> SyncFeed[T]:
        self._shards.follow()
        self._feeds.add(feed)
        return feed

    def _respond(self, way: Way) -> Outcome:
        match way:
            case Reply(asked, answer):
                return self._answering.give(asked, answer)
            case Push(channel, envelope):
                fate = self._publisher.publish(channel, envelope)
                return "duplicate" if fate.duplicate else "delivered"
        return "unasked"
