"""The alarm: what alerts have begun and ended, kept in Redis so that the fleet tells each once, whoever oversees it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import structlog

from fairlead.errors import Unavailable
from fairlead.format.messages import push, rfc3339
from fairlead.ids import uuid7
from fairlead.names import ADMINS, Names
from fairlead.publishing.publisher import Publisher
from fairlead.redis.scripts import load
from fairlead_gateway.admin.alerts import RULES, Depths, Limit, Rule, Seen, Watch, step
from fairlead_gateway.admin.overview import Overview
from fairlead_gateway.facts.lane import SCRIPTS, Lane
from fairlead_gateway.facts.statistics import Turn
from fairlead_gateway.sessions.tasks import Tasks

if TYPE_CHECKING:
    from fairlead.pushes import AlertUpdate

log = structlog.get_logger(__name__)

_ALERT: Final = load("alert", SCRIPTS)

KEPT: Final = 200
"""Alerts that are over and still shown."""

KEPT_SECONDS: Final = 7 * 24 * 3600
"""How long, at most."""

DEPTHS_SECONDS: Final = 10.0
"""How often Redis is asked what waits in it."""

TELL: Final = {True: "firing", False: "resolved"}

_NEVER_MS: Final = 10**14
"""A time that no clock of ours will show."""

Alert = Mapping[str, Any]
"""As operators see it: ``id, rule, severity, replica, value, worst, threshold, message, since, until, state``."""


class _Change(NamedTuple):
    """What has become of one thing that is watched."""

    rule: Rule
    subject: str
    raw: bytes
    """As Redis has it."""
    was: Watch | None
    now: Watch | None
    limit: Limit

    @property
    def has_begun(self) -> bool:
        return self.now is not None and self.now.is_firing and not (self.was and self.was.is_firing)

    @property
    def is_over(self) -> bool:
        return self.now is None and self.was is not None and self.was.is_firing

    def alert(self, until_ms: int = 0) -> Alert:
        """What operators are told."""
        watch = self.now or self.was
        assert watch is not None
        return _alert(self.rule, self.subject, watch, self.limit.threshold, until_ms)


class Alarm:
    """
    Holds what the overseer sees against the rules; one `fairlead_gateway.admin.overseer.Watcher`.

    :param depths: looks up what waits in Redis.
    :param has_webhook: whether what begins and ends is delivered, too (`fairlead_gateway.admin.webhook`).
    """

    def __init__(
        self,
        lane: Lane,
        names: Names,
        publisher: Publisher,
        tasks: Tasks,
        depths: Callable[[], Awaitable[Depths]],
        limits: Mapping[str, Limit],
        has_webhook: bool,
    ) -> None:
        self._lane = lane
        self._names = names
        self._publisher = publisher
        self._tasks = tasks
        self._look = depths
        self._limits = limits
        self._has_webhook = has_webhook
        self._depths: Depths | None = None
        self._looks_next = self._depths_until = 0.0
        self._firing: dict[tuple[str, str], Watch] = {}
        self._is_owed = False

    def firing(self) -> int:
        """How many alerts were firing when this replica last looked at the fleet."""
        return len(self._firing)

    async def turned(self, turn: Turn) -> None:
        """
        Write down again what Redis has forgotten, if it was us who saw it last: else nobody would tell that it is over.

        :raises Unavailable: Redis cannot be reached; it is done with the next turn.
        """
        self._is_owed = self._is_owed or turn.was_forgotten
        if self._is_owed:
            for (rule, subject), watch in self._firing.items():
                args = (f"{rule} {subject}", b"", orjson.dumps(asdict(watch)), 0, b"", KEPT, KEPT_SECONDS, "", b"")
                await self._lane.run(_ALERT, self._keys, args)
            self._is_owed = False
        if not turn.oversees:
            self._firing = {}

    async def watch(self, overview: Overview) -> None:
        """
        See what has begun and what is over, and tell it.

        :raises Unavailable: Redis cannot be reached; what was not written down comes again.
        """
        self._look_deeper()
        held = await self._held()
        now = int(overview.at.timestamp() * 1000)
        changes = list(self._changes(Seen(overview, self._depths), held, now))
        for change in changes:
            if await self._write(change, now) and (change.has_begun or change.is_over):
                await self._tell(change, now)
        over = {(change.rule.name, change.subject): change.now for change in changes}
        watches = {**{key: watch for key, (_, watch) in held.items()}, **over}
        self._firing = {key: watch for key, watch in watches.items() if watch is not None and watch.is_firing}

    async def alerts(self) -> list[Alert]:
        """
        What fires, then what is over; the latest first.

        :raises Unavailable: Redis cannot be reached.
        """
        held = await self._held()
        past = await self._lane.call("ZRANGE", self._names.alerts_past, 0, -1)
        by_name = {rule.name: rule for rule in RULES}
        firing = [
            _alert(rule, subject, watch, self._limits.get(name, rule.limit).threshold)
            for (name, subject), (_, watch) in held.items()
            if watch is not None and watch.is_firing and (rule := by_name.get(name)) is not None
        ]
        firing.sort(key=lambda alert: str(alert["since"]), reverse=True)
        return [*firing, *(alert for one in reversed(past) if (alert := _past(one)) is not None)]

    # -- what Redis knows ----------------------------------------------------------------------------

    def _look_deeper(self) -> None:
        """Have Redis asked what waits in it, if that is some time ago; nobody waits for it: a server may hang."""
        now = time.monotonic()
        if now > self._depths_until:
            self._depths = None
        if now >= self._looks_next:
            self._looks_next = now + DEPTHS_SECONDS
            self._tasks.start(self._refresh(), name="depths")

    async def _refresh(self) -> None:
        try:
            self._depths = await self._look()
        except Unavailable as error:
            log.info("it is not known what waits in redis", why=error.message)
        else:
            self._depths_until = time.monotonic() + 2 * DEPTHS_SECONDS

    async def _held(self) -> dict[tuple[str, str], tuple[bytes, Watch | None]]:
        flat = await self._lane.call("HGETALL", self._names.alerts)
        pairs: Iterable[tuple[bytes, bytes]] = (
            flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
        )
        found = {}
        for field, raw in pairs:
            rule, _, subject = field.decode(errors="replace").partition(" ")
            found[rule, subject] = raw, _watch(raw)
        return found

    async def _write(self, change: _Change, now: int) -> bool:
        """Whether it was ours to write: another replica may oversee the fleet by now."""
        told = orjson.dumps(change.alert(now if change.is_over else 0)) if change.has_begun or change.is_over else b""
        watch = change.now or change.was
        delivery = f"{watch.id}:{TELL[change.has_begun]}" if told and self._has_webhook and watch else ""
        args = (
            f"{change.rule.name} {change.subject}",
            change.raw,
            orjson.dumps(asdict(change.now)) if change.now is not None else b"",
            now,
            told if change.is_over else b"",
            KEPT,
            KEPT_SECONDS,
            delivery,
            told,
        )
        return bool(await self._lane.run(_ALERT, self._keys, args))

    @property
    def _keys(self) -> tuple[str, ...]:
        return self._names.alerts, self._names.alerts_past, *self._names.deliveries

    # -- what is to be told ----------------------------------------------------------------------------

    def _changes(
        self, seen: Seen, held: Mapping[tuple[str, str], tuple[bytes, Watch | None]], now: int
    ) -> Iterator[_Change]:
        for rule in RULES:
            limit = self._limits.get(rule.name)
            values = {} if limit is None else rule.values(seen)
            if values is None:
                continue
            for subject in values.keys() | {subject for name, subject in held if name == rule.name}:
                raw, was = held.get((rule.name, subject), (b"", None))
                become = step(was, values.get(subject), limit or rule.limit, now, uuid7)
                if become != was:
                    yield _Change(rule, subject, raw, was, become, limit or rule.limit)

    async def _tell(self, change: _Change, now: int) -> None:
        alert = change.alert(now if change.is_over else 0)
        write = log.warning if change.has_begun else log.info
        event = "alert" if change.has_begun else "alert is over"
        write(event, rule=change.rule.name, subject=change.subject, message=alert["message"])
        try:
            told: AlertUpdate = {"type": "alert", "alert": dict(alert)}
            await self._publisher.publish(ADMINS, push(told, ADMINS), durable=False)
        except Unavailable as error:
            log.warning("admins were not told of an alert", why=error.message)


def _watch(raw: bytes) -> Watch | None:
    """What Redis has written down; None for what is not ours, and is written anew."""
    try:
        match written := orjson.loads(raw):
            case {
                "id": str(id),
                "since": int(since),
                "value": float(value),
                "fired": int(fired),
                "calm": int(calm),
            } if all(0 <= ms < _NEVER_MS for ms in (since, fired, calm)):
                # An older replica, while the fleet is being renewed, writes no worst.
                worst, seen = written.get("worst", value), written.get("seen", fired)
                if isinstance(worst, float) and isinstance(seen, int) and 0 <= seen < _NEVER_MS:
                    return Watch(id, since, value, worst, seen, fired, calm)
    except orjson.JSONDecodeError:
        pass
    return None


def _past(raw: bytes) -> Alert | None:
    """An alert that is over; None for what nobody of ours wrote."""
    try:
        alert = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(alert, dict) or alert.get("state") != TELL[False]:
        return None
    return {"worst": alert.get("value"), **alert}


def _alert(rule: Rule, subject: str, watch: Watch, threshold: float, until_ms: int = 0) -> Alert:
    return {
        "id": watch.id,
        "rule": rule.name,
        "severity": rule.severity,
        "replica": subject if rule.is_of_replicas else None,
        "value": round(watch.value, 3),
        "worst": round(watch.worst, 3),
        "threshold": threshold,
        "message": rule.sentence.format(subject=subject, value=watch.value, threshold=threshold),
        "since": _at(watch.since),
        "until": _at(until_ms) if until_ms else None,
        "state": TELL[not until_ms],
    }


def _at(ms: int) -> str:
    return rfc3339(datetime.fromtimestamp(ms / 1000, UTC))
