"""The one place where the parts of a replica meet: built, wired, started and ended here."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from fairlead import codes
from fairlead.errors import Unavailable
from fairlead.format.control import CloseOrder, Finding, LookOrder, Order, Sighting, SurveyOrder, TapOrder
from fairlead.format.messages import SYSTEM
from fairlead.names import Names, id_of, kind_of
from fairlead.publishing.receipts import Receipts
from fairlead.publishing.replies import Replies
from fairlead.questions.asking import Asks
from fairlead.questions.talks import Happening
from fairlead.redis.shards import open_shards
from fairlead.streams import history
from fairlead.streams.ingress import Ingress
from fairlead.version import __version__
from fairlead_gateway.access.authorizer import first_yes
from fairlead_gateway.access.revocations import Revocations
from fairlead_gateway.access.revoked import RevocationList
from fairlead_gateway.access.tickets import Tickets
from fairlead_gateway.access.tokens import TokenVerifier
from fairlead_gateway.admin.administration import Administration
from fairlead_gateway.admin.metrics import Parts
from fairlead_gateway.dispatch.dispatcher import MessageDispatcher
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.links import Links, place_in
from fairlead_gateway.dispatch.relay import Relay
from fairlead_gateway.dispatch.traced import TracedPublisher
from fairlead_gateway.dispatch.tracks import Tracks
from fairlead_gateway.dispatch.trail import Trail
from fairlead_gateway.edge.endpoint import Endpoint
from fairlead_gateway.facts.acks import Acks
from fairlead_gateway.facts.counts import InstanceCounts
from fairlead_gateway.facts.cursors import Cursors
from fairlead_gateway.facts.departures import Departures
from fairlead_gateway.facts.due import Due
from fairlead_gateway.facts.history import History
from fairlead_gateway.facts.instances import Instances
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.latest import Latest
from fairlead_gateway.facts.leases import Leases
from fairlead_gateway.facts.questions import Questions
from fairlead_gateway.facts.seats import Seats
from fairlead_gateway.facts.statistics import Statistics
from fairlead_gateway.facts.statuses import Statuses
from fairlead_gateway.facts.streams import Streams
from fairlead_gateway.facts.tasks import LOOK_SECONDS, TaskStates
from fairlead_gateway.facts.told import Limits, Told
from fairlead_gateway.monitor.ages import Ages
from fairlead_gateway.pool import Connection, ConnectionPool
from fairlead_gateway.sessions import heartbeat, leaving, questions, revoking, seating, stalling
from fairlead_gateway.sessions.actions import RESERVED
from fairlead_gateway.sessions.events import EventBus
from fairlead_gateway.sessions.handlers import Handlers
from fairlead_gateway.sessions.people import Farewells
from fairlead_gateway.sessions.receiver import Receiver
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.sessions.tasks import Tasks
from fairlead_gateway.settings import Settings
from fairlead_gateway.spans import spans
from fairlead_gateway.wire.limits import WireLimits

log = structlog.get_logger(__name__)

PUBLISH_SECONDS: Final = 2.0
"""How long a client's message may wait for Redis."""

STOP_SECONDS: Final = 2.5
"""How long a replica without clients may take to give everything back to Redis."""

HANG_UP_SECONDS: Final = 0.5
"""How long answers that Redis still owes may hold up the end."""

QUESTION_LEASE_SECONDS: Final = 1.0
"""How long a replica that dies may hold up the end of a question; doing it twice does no harm."""

RESEATED_TOGETHER: Final = 200
"""Connections written down again at once, after the lease was lost."""


class Assembly:
    """All parts of one replica, and its life from start to stop."""

    def __init__(self, settings: Settings) -> None:
        id = _replica_id(settings)
        names = Names(settings.prefix)
        self._shards = shards = open_shards(settings.redis_url.get_secret_value(), names, client_name=f"fairlead-{id}")
        self._services = Tasks()
        self._lane = lane = Lane(shards)
        pool: ConnectionPool[Connection] = ConnectionPool()
        durable = frozenset(settings.durable)
        past = History(lane, names, settings.history_ttl_seconds)
        tracks = Tracks(
            past.ask,
            lambda *given: self.dispatcher.deliver(*given),
            durable,
            settings.replay_memory_bytes,
            settings.history_size,
        )
        interest = Interest(names, pool.is_needed, doubt=self._doubt, given_up=tracks.drop, place=place_in(shards))
        tasks = Tasks()
        traced = spans(id)
        trail = Trail(settings.trace_messages, logs=settings.log_level == "debug")
        publisher = TracedPublisher(
            shards,
            names,
            trail=trail,
            spans=traced,
            durable=durable,
            history_size=settings.history_size,
            history_ttl_seconds=settings.history_ttl_seconds,
            # A client is told that Redis is away before its action runs out of time.
            timeout_seconds=min(PUBLISH_SECONDS, settings.message_timeout_seconds / 2),
            durable_replicas=settings.durable_replicas,
        )
        self._replies = Replies(shards, names)
        self.asks = Asks(
            shards,
            names,
            publisher,
            self._replies,
            sender=SYSTEM,
            # As for the publisher: who answers is told in time.
            timeout_seconds=min(PUBLISH_SECONDS, settings.message_timeout_seconds / 2),
            durable_replicas=settings.durable_replicas,
            happened=self._happened,
        )
        self._streams = Streams(lane)
        self._told = Told(lane, names, self._replies, self._streams, id, _limits(settings))
        instances = Instances(lane, names, publisher, settings.state_ttl_seconds)
        self._counts = InstanceCounts(lane, names, id, partial(pool.channels, "instance"))
        revocations = Revocations()
        self.replica = Replica(
            id=id,
            settings=settings,
            names=names,
            lane=lane,
            pool=pool,
            interest=interest,
            tracks=tracks,
            trail=trail,
            publisher=publisher,
            seats=Seats(lane, names, id, settings.presence_grace_seconds),
            statuses=Statuses(lane, names, settings.status_update_people),
            acks=Acks(lane, names),
            cursors=Cursors(lane, names),
            history=past,
            questions=Questions(lane, names, self.asks),
            task_states=(task_states := TaskStates(lane, names, settings.task_stalled_seconds)),
            told=self._told,
            instances=instances,
            verifier=TokenVerifier.from_settings(settings, revocations),
            revoked=RevocationList(
                shards, names, revocations, lambda news: revoking.end(self.replica, news), settings.revoked_seconds
            ),
            authorizer=first_yes(settings, shards, names),
            handlers=Handlers(RESERVED),
            events=EventBus(tasks, self._told.event, settings.events),
            tasks=tasks,
            states={"instance": instances.snapshot, "task": task_states.tell, "device": Latest(lane, names).tell},
            spans=traced,
        )
        self.receipts = Receipts(shards, names, publisher, self._replies, timeout_seconds=PUBLISH_SECONDS)
        self.tickets = Tickets(shards, names, settings.jwt_leeway_seconds)
        self.receiver = Receiver(self.replica)
        self.endpoint = Endpoint(self.replica, self.receiver, self.tickets, wire_limits(settings))
        statistics = Statistics(lane, names, id)
        self._leases = Leases(
            lane,
            names,
            id,
            settings.lease_seconds,
            _facts(settings),
            self._reseat,
            self.replica.seats,
            self._lost,
            statistics.inherit,
        )
        self._departures = Departures(lane, names, Farewells(self.replica))
        self.dispatcher = MessageDispatcher(
            pool,
            lambda: self._links.hold(),
            lambda: self._links.release(),
            publisher.publish,
            instances.patch,
            counted=self.replica.counters,
            trail=trail,
        )
        ages = Ages(self.replica.counters.delivery_ms)
        relay = Relay(
            interest,
            self.dispatcher,
            tracks,
            self._obey,
            lambda name: self._links.probed(name),
            settings.log_level == "debug",
            self.replica.counters,
            ages,
            traced,
        )
        self.replica.taps.attach(relay)
        self._links = Links(shards, interest, relay.heard, lambda name: lane.call("PUBLISH", name, "1"), names, id)
        parts = Parts(self.replica, self.dispatcher, self._links, self._leases, self._streams, self.readiness)
        self.administration = Administration(parts, shards, statistics, ages)
        self._ingress = Ingress(shards, names, publisher, id)
        self._questions_due = Due(
            lane, names.all_asks_due(), turn=names.asks_turn, lease_seconds=QUESTION_LEASE_SECONDS
        )
        self._tasks_due = Due(lane, names.all_tasks_due(), turn=names.tasks_turn, beat_seconds=LOOK_SECONDS)
        self.is_running = False
        self.leaves = asyncio.Event()
        """Set once clients are to go elsewhere."""

    async def start(self) -> None:
        """Begin to listen to Redis and to beat; returns at once, whether Redis is there or not (see `readiness`)."""
        self.is_running = self.endpoint.is_open = True
        # That of the last time was of another loop.
        self.leaves = asyncio.Event()
        self._services.keep(self._links.run, name="links")
        self._services.keep(self._leases.run, name="lease")
        self._services.keep(self._counts.run, name="instance counts")
        self._services.keep(self._leases.run_sweeps, name="sweeps")
        self._services.keep(self._departures.run, name="departures")
        self._services.keep(self.replica.tracks.run_checks, name="position checks")
        self._services.keep(self.replica.revoked.run, name="revoked tokens")
        self._services.keep(partial(heartbeat.beat, self.replica), name="heartbeat")
        self._services.keep(self._ingress.run, name="ingress")
        self._services.keep(partial(self._questions_due.run, partial(questions.tend, self.replica)), name="questions")
        self._services.keep(partial(self.replica.monitors.run, self.replica), name="monitors")
        self._services.keep(partial(self._tasks_due.run, partial(stalling.look, self.replica)), name="stalled tasks")
        self._services.keep(self._streams.run, name="streams")
        self.administration.keep(self._services)

    def turn_away(self) -> None:
        """Be ready no longer; whoever comes in spite of that is still let in."""
        self.leaves.set()

    async def drain(self) -> None:
        """Send all clients elsewhere with 4200, in the time that the settings give them (DEP-4)."""
        self.turn_away()
        await self.endpoint.drain(self.replica.settings.drain_seconds)

    async def stop(self) -> None:
        """Send everybody elsewhere who is still here, give everything back to Redis, and end."""
        await self.drain()
        for connection in self.replica.pool:
            leaving.end(self.replica, connection, codes.DRAIN, "0")
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.replica.tasks.finish()
                await self._services.end()
                await self._counts.end()
                await self.administration.end()
                await self._leases.end()
        except (TimeoutError, Unavailable) as error:
            log.warning("left without goodbye; others will sweep", why=str(error) or "redis did not answer in time")
        await self._services.end()
        await self.replica.tasks.end()
        await self._replies.aclose()
        await self.replica.publisher.aclose()
        await self.replica.verifier.aclose()
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                await self._lane.aclose()
        except TimeoutError:
            log.warning("hung up on redis, which still owes answers")
        await self._shards.aclose()
        self.is_running = False

    def readiness(self) -> dict[str, bool]:
        """Everything that must be true before clients should be sent here (ADM-5)."""
        return {
            "redis": self.is_running and self._links.is_up and self._leases.is_held,
            "hears_itself": self._links.hears_itself,
            "revocations": self.replica.revoked.was_read,
            "open": self.endpoint.is_open and not self.leaves.is_set(),
        }

    # -- what the parts ask of each other ----------------------------------------------------------

    def _obey(self, channel: str, order: Order, spared: str) -> None:
        """An order to whatever replica holds the members of *channel*; who is *spared* is not closed."""
        match order:
            case CloseOrder(code, reason):
                for connection in self.replica.pool.everyone(channel):
                    if f"connection:{connection.id}" != spared:
                        leaving.end_as(self.replica, connection, code, reason)
            case LookOrder("tasks"):
                self.replica.monitors.look(self.replica, id_of(channel))
            case SurveyOrder() | Finding():
                self.administration.obey(order)
            case TapOrder():
                self.replica.taps.obey(self.replica, order)
            case Sighting():
                self.replica.watches.seen(order)

    def _doubt(self, channel: str) -> None:
        """Something may have been missed in *channel*."""
        self.replica.tracks.doubt(channel)
        if kind_of(channel) == "user":
            self.replica.monitors.look(self.replica, id_of(channel))

    def _happened(self, one: Happening) -> None:
        """Something has become of a question."""
        self.replica.tallies.happened(one.name, one.facts)
        self.replica.events.emit(one.name, **one.facts)

    def _lost(self, connection_id: str, user_id: str, replica: str) -> None:
        """A replica died, and with it a connection."""
        self._told.ended(connection_id, user_id, history.LOST, "replica lost", replica=replica)

    async def _reseat(self, was_swept: bool) -> None:
        """Our lease was lost, and with it what Redis knew of our connections: write all of them down again."""
        connections: list[Connection] = list(self.replica.pool)
        for start in range(0, len(connections), RESEATED_TOGETHER):
            some = connections[start : start + RESEATED_TOGETHER]
            await asyncio.gather(*(seating.reseat(self.replica, connection, was_swept) for connection in some))


def wire_limits(settings: Settings) -> WireLimits:
    """What the wire needs to know of the settings."""
    return WireLimits(
        max_message_bytes=settings.max_message_bytes,
        max_outbox_bytes=settings.max_outbox_bytes,
        compression=settings.compression,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.events_size,
        settings.inbound_size,
        settings.inbound_bytes,
        settings.connection_history_size,
        settings.connection_history_days,
    )


def _replica_id(settings: Settings) -> str:
    """Unique to this start: the host's name and process say who, four random bytes that it is not the one before."""
    name = settings.replica or f"{socket.gethostname()[:32]}-{os.getpid()}"
    return f"{name}-{secrets.token_hex(4)}"


def _facts(settings: Settings) -> dict[str, str]:
    return {
        "version": __version__,
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "host": socket.gethostname(),
        "port": str(settings.port),
    }
