"""What one replica is made of, as far as the meaning of messages goes. Built once, in `fairlead_gateway.manager`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead_gateway.access.authorizer import Authorizer
from fairlead_gateway.access.revoked import RevocationList
from fairlead_gateway.access.tokens import TokenVerifier
from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.tracks import Tracks
from fairlead_gateway.dispatch.trail import Trail
from fairlead_gateway.facts.acks import Acks
from fairlead_gateway.facts.cursors import Cursors
from fairlead_gateway.facts.history import History
from fairlead_gateway.facts.instances import Instances
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.questions import Questions
from fairlead_gateway.facts.seats import Seats
from fairlead_gateway.facts.statuses import Statuses
from fairlead_gateway.facts.tasks import TaskStates
from fairlead_gateway.facts.told import Told
from fairlead_gateway.monitor import Counters
from fairlead_gateway.monitor.tallies import Tallies
from fairlead_gateway.pool import Connection, ConnectionPool
from fairlead_gateway.pool.typists import Typists
from fairlead_gateway.pool.wheel import Wheel
from fairlead_gateway.sessions.events import EventBus
from fairlead_gateway.sessions.handlers import Handlers
from fairlead_gateway.sessions.live.taps import Taps
from fairlead_gateway.sessions.live.watches import Watches
from fairlead_gateway.sessions.monitors import Monitors
from fairlead_gateway.sessions.sounding import Soundings
from fairlead_gateway.sessions.tasks import Tasks
from fairlead_gateway.sessions.turns import Turns
from fairlead_gateway.sessions.voice import Voice
from fairlead_gateway.settings import Settings
from fairlead_gateway.spans import Spans

State: TypeAlias = Callable[[str], Awaitable[bytes]]
"""The state behind a channel as the JSON frame that tells it; empty where there is none."""


@dataclass(slots=True)
class Replica:
    """The parts that actions, openings and leavings work with."""

    id: str
    """Unique to this start of the replica, so that a quick restart is not taken for the one before."""

    settings: Settings
    names: Names
    lane: Lane
    pool: ConnectionPool[Connection]
    interest: Interest
    tracks: Tracks
    trail: Trail
    publisher: Publisher
    seats: Seats
    statuses: Statuses
    acks: Acks
    cursors: Cursors
    questions: Questions
    task_states: TaskStates
    history: History
    told: Told
    instances: Instances
    verifier: TokenVerifier
    revoked: RevocationList
    authorizer: Authorizer
    handlers: Handlers[Any]
    """What applications registered; given a `fairlead_gateway.sessions.context.Context`, which is made of this."""

    events: EventBus
    tasks: Tasks
    states: Mapping[str, State] = field(default_factory=dict)
    """By kind of channel: what newcomers are told first."""

    monitors: Monitors = field(default_factory=Monitors)
    taps: Taps = field(default_factory=Taps)
    watches: Watches = field(default_factory=Watches)
    voice: Voice = field(default_factory=Voice)
    typists: Typists[Connection] = field(default_factory=Typists)
    heartbeats: Wheel[Connection] = field(default_factory=Wheel)
    """By loop second."""
    expiries: Wheel[Connection] = field(default_factory=Wheel)
    """By Unix second."""
    turns: Turns = field(default_factory=Turns)
    """Where work pauses that looks at many connections, or ends them."""
    soundings: Soundings = field(default_factory=Soundings)
    quiet: set[Connection] = field(default_factory=set)
    """Connections that have not been heard of within their heartbeat, and are not dead yet."""
    counters: Counters = field(default_factory=Counters)
    tallies: Tallies = field(default_factory=Tallies)
    spans: Spans | None = None
    """None where nobody traces with OpenTelemetry."""
