"""Alerts: what an operator should know without looking, when it begins and when it is over; decided here (ADM-4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from fairlead_gateway.admin.overview import Figures, Overview

Severity: TypeAlias = Literal["warning", "critical"]

CALM: Final = 0.8
"""It is over below this part of the threshold, so that what hovers about it is one alert and not a hundred."""

CALM_SECONDS: Final = 5.0
"""It is over when it has been for as long as it had to hold to begin, and for this long at least."""

WORSE: Final = 1.1
"""A value is written down at once when it is worse by a tenth than any before."""

SEEN_SECONDS: Final = 5.0
"""How old the value that is written down may be otherwise."""

FEW_ERRORS: Final = 10 / 60
"""Errors a second below which no share of them means anything: ten in the minute that rates are taken over."""


class Depths(NamedTuple):
    """How full Redis is of what waits; looked up less often than the rest."""

    ingress: int = 0
    """Messages that nobody has sent on yet."""
    behind: int = 0
    """Entries of the streams for backends that the slowest group has not worked off."""
    questions: int = 0
    """Questions that wait for an answer."""
    memory: Mapping[str, float] = {}
    """Percent of ``maxmemory`` in use, by server; of those that have one."""


class Seen(NamedTuple):
    """All that rules look at."""

    overview: Overview
    depths: Depths | None
    """None while it is not known."""


class Limit(NamedTuple):
    """When a rule fires."""

    threshold: float
    seconds: float
    """How long the value must be above it."""


class Rule(NamedTuple):
    """One thing that is watched."""

    name: str
    severity: Severity
    limit: Limit
    """Unless the settings have another."""
    values: Callable[[Seen], Mapping[str, float] | None]
    """By replica, by server of Redis, or one for the fleet under ``""``; None while nothing is known."""
    sentence: str
    """Formatted with ``subject``, ``value`` and ``threshold``."""
    is_of_replicas: bool = False


def _of_replicas(value: Callable[[Figures], float]) -> Callable[[Seen], Mapping[str, float]]:
    def values(seen: Seen) -> Mapping[str, float]:
        overview = seen.overview
        return {name: value(figures) for name, figures in overview.replicas.items() if name in overview.alive}

    return values


def _of_depths(value: Callable[[Depths], float]) -> Callable[[Seen], Mapping[str, float] | None]:
    return lambda seen: None if seen.depths is None else {"": value(seen.depths)}


def _error_percent(seen: Seen) -> Mapping[str, float]:
    errors, received = (seen.overview.rates.get(name, 0.0) for name in ("errors", "messages_received"))
    return {"": 100 * errors / max(errors, received) if errors >= FEW_ERRORS else 0.0}


def _lost(seen: Seen) -> Mapping[str, float]:
    """Those that nobody has come after, under their name or at their place; an id ends with what is of one start."""
    overview = seen.overview
    back = {_name(replica) for replica in overview.alive}
    return {replica: 1.0 for replica in overview.lost - overview.replaced if _name(replica) not in back}


def _name(replica: str) -> str:
    return replica.rpartition("-")[0]


RULES: Final = (
    Rule("replica_lost", "critical", Limit(0, 0), _lost, "replica {subject} has died", is_of_replicas=True),
    Rule(
        "receive_silent",
        "critical",
        Limit(10, 0),
        _of_replicas(lambda figures: figures.silent_seconds),
        "replica {subject} has heard nothing through Redis for {value:.0f} s, itself neither",
        is_of_replicas=True,
    ),
    Rule(
        "redis_memory",
        "critical",
        Limit(90, 10),
        lambda seen: None if seen.depths is None else seen.depths.memory,
        "Redis at {subject} uses {value:.0f} % of its maxmemory; full, it takes no message more",
    ),
    Rule(
        "not_ready",
        "warning",
        Limit(0, 60),
        _of_replicas(lambda figures: 0.0 if figures.is_ready else 1.0),
        "replica {subject} lives and is not ready for clients",
        is_of_replicas=True,
    ),
    Rule(
        "error_rate",
        "warning",
        Limit(5, 10),
        _error_percent,
        "{value:.0f} % of what clients say ends in an error",
    ),
    Rule(
        "slow_consumers",
        "warning",
        Limit(10, 0),
        lambda seen: {"": 60 * seen.overview.rates.get("slow_consumers", 0.0)},
        "{value:.0f} clients a minute are closed for reading too slowly",
    ),
    Rule(
        "fanout_backlog",
        "warning",
        Limit(4 * 1024 * 1024, 5),
        _of_replicas(lambda figures: figures.queued_bytes),
        "{value:.0f} bytes wait on replica {subject} to be fanned out",
        is_of_replicas=True,
    ),
    Rule(
        "streams_owed",
        "warning",
        Limit(1000, 5),
        _of_replicas(lambda figures: figures.queued_entries),
        "{value:.0f} events and messages for backends wait on replica {subject} for Redis to take them",
        is_of_replicas=True,
    ),
    Rule(
        "ingress_backlog",
        "warning",
        Limit(1000, 20),
        _of_depths(lambda depths: depths.ingress),
        "{value:.0f} messages wait in the ingress stream to be sent",
    ),
    Rule(
        "backends_behind",
        "warning",
        Limit(5000, 60),
        _of_depths(lambda depths: depths.behind),
        "a group of backends is {value:.0f} events or messages behind; what is not read in time is lost",
    ),
    Rule(
        "questions_open",
        "warning",
        Limit(1000, 60),
        _of_depths(lambda depths: depths.questions),
        "{value:.0f} questions wait for an answer",
    ),
)
"""Every rule, the worst first."""

NAMES: Final = frozenset(rule.name for rule in RULES)


def limits(settings: Iterable[str]) -> dict[str, Limit]:
    """
    By rule, those that are on.

    :param settings: ``error_rate=5/10``: above 5 for 10 s; ``error_rate=5``; ``error_rate=off``.
    :raises ValueError: one of them is none of these.
    """
    found = {rule.name: rule.limit for rule in RULES}
    for text in settings:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in NAMES:
            raise ValueError(f"there is no rule {name[:40]!r}; rules are {', '.join(rule.name for rule in RULES)}")
        if value == "off":
            found.pop(name, None)
            continue
        threshold, has_seconds, seconds = value.partition("/")
        try:
            limit = Limit(float(threshold), float(seconds) if has_seconds else found[name].seconds)
        except (ValueError, KeyError):
            raise ValueError(f"{name} is a threshold, a threshold and seconds such as 5/10, or off") from None
        if not (0 <= limit.threshold < float("inf") and 0 <= limit.seconds < float("inf")):
            raise ValueError(f"{name}: neither the threshold nor the seconds may be below 0")
        found[name] = limit
    return found


# -- one thing over time ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watch:
    """Something that is above its threshold, or was until lately; times are of Redis, in ms."""

    id: str
    since: int
    """When it went above."""
    value: float
    """What it is now, or was some seconds ago."""
    worst: float
    """The worst that it has been, to within a tenth."""
    seen: int
    """When the value was written down."""
    fired: int = 0
    """When that had lasted long enough; 0 while it has not."""
    calm: int = 0
    """Since when it has been well below again; 0 while it is not."""

    @property
    def is_firing(self) -> bool:
        return self.fired > 0


def step(was: Watch | None, value: float | None, limit: Limit, now: int, new_id: Callable[[], str]) -> Watch | None:
    """
    What there is to watch after *value* was seen; None when all is well.

    :param value: None when what was watched is no more.
    """
    if value is None or (was is None and value <= limit.threshold):
        return None
    if was is None:
        was = Watch(new_id(), now, float(value), float(value), now)
    latest = replace(was, value=float(value), worst=max(was.worst, float(value)), seen=now)
    kept = latest if _is_news(was, value, now) else was
    if not was.is_firing:
        if value <= limit.threshold:
            return None
        return replace(latest, fired=now) if now - was.since >= limit.seconds * 1000 else kept
    if value > limit.threshold * CALM:
        return replace(latest, calm=0) if was.calm else kept
    if not was.calm:
        return replace(latest, calm=now)
    return None if now - was.calm >= max(limit.seconds, CALM_SECONDS) * 1000 else kept


def _is_news(was: Watch, value: float, now: int) -> bool:
    """Whether *value* is to be written down: it need not be every second."""
    return value > was.worst * WORSE or (value != was.value and now - was.seen >= SEEN_SECONDS * 1000)
