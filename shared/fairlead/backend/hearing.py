"""Hearing: what a backend is told of clients and by them; the asyncio face. The blocking one is its twin."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeAlias, TypeVar, Unpack
from weakref import WeakSet

from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.replies import Replies
from fairlead.redis.patience import patiently
from fairlead.redis.shards import Shards
from fairlead.streams import events as of_events
from fairlead.streams import history
from fairlead.streams import inbound as of_clients
from fairlead.streams.answering import Answering
from fairlead.streams.answers import Outcome
from fairlead.streams.entries import LATEST
from fairlead.streams.events import Event
from fairlead.streams.feeds import Acknowledged, Feed, Wish, Wishes
from fairlead.streams.groups import Entry
from fairlead.streams.history import PastConnection
from fairlead.streams.inbound import Inbound, Push, Reply, Way

Replying: TypeAlias = Coroutine[Any, Any, Outcome]

T = TypeVar("T")


class Hearing:
    """
    Feeds of one backend, and what it answers.

    :param sender: whom its answers come from.
    :param timeout_seconds: how long Redis may be away before an answer, or an acknowledgement, raises; feeds wait.
    """

    def __init__(
        self,
        shards: Shards,
        names: Names,
        publisher: Publisher,
        replies: Replies,
        *,
        sender: str,
        timeout_seconds: float,
    ) -> None:
        self._shards = shards
        self._names = names
        self._publisher = publisher
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._answering = Answering(shards, names, publisher, replies, sender=sender, timeout_seconds=timeout_seconds)
        self._feeds: WeakSet[Feed[Any]] = WeakSet()

    def events(self, group: str, **wishes: Unpack[Wishes]) -> Feed[Event[Acknowledged]]:
        """See `fairlead.Backend.events`."""
        wish = Wish(group, **wishes)

        def read(entry: Entry) -> Event[Acknowledged] | None:
            event = of_events.read(entry, partial(feed.acknowledge, entry.id, self._timeout_seconds))
            return event if wish.is_for(event.name) else None

        feed = self._feed(Feed(self._shards, self._names, self._names.events, wish, read))
        return feed

    def inbound(self, group: str, **wishes: Unpack[Wishes]) -> Feed[Inbound[Acknowledged, Replying]]:
        """See `fairlead.Backend.inbound`."""
        wish = Wish(group, **wishes)

        def read(entry: Entry) -> Inbound[Acknowledged, Replying] | None:
            acknowledge = partial(feed.acknowledge, entry.id, self._timeout_seconds)
            said = of_clients.read(entry, group, self._sender, acknowledge, self._respond)
            return said if wish.is_for(said.type) else None

        feed = self._feed(Feed(self._shards, self._names, self._names.inbound, wish, read))
        return feed

    async def connection_history(self, user_id: str | None, count: int) -> list[PastConnection]:
        """See `fairlead.Backend.connection_history`."""
        found: list[PastConnection] = []
        before = LATEST
        while before and len(found) < count:
            (reply,) = await patiently(self._timeout_seconds, self._shards.ask, history.page(self._names, before))
            records, before = history.paged(reply)
            found += history.chosen(records, user_id)
        return found[:count]

    async def aclose(self) -> None:
        """End the loops over feeds."""
        for feed in list(self._feeds):
            await feed.aclose()

    def _feed(self, feed: Feed[T]) -> Feed[T]:
        self._publisher.follow()
        self._feeds.add(feed)
        return feed

    async def _respond(self, way: Way) -> Outcome:
        match way:
            case Reply(asked, answer):
                return await self._answering.give(asked, answer)
            case Push(channel, envelope):
                sent = await self._publisher.publish(channel, envelope)
                return "duplicate" if sent.duplicate else "delivered"
        return "unasked"
