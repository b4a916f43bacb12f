"""The webhook: what it is to be told waits in Redis, so that it is told by another replica if one dies of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import orjson
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from fairlead.errors import Unavailable
from fairlead.names import Names, is_id
from fairlead_gateway.admin.receiver import Receiver
from fairlead_gateway.facts.due import Due
from fairlead_gateway.facts.lane import Lane

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3
"""In a row; then there is a pause."""

LEASE_SECONDS: Final = 15.0
"""Longer than that takes, at 2 s each."""

AGAIN_SECONDS: Final = 60.0

GIVE_UP_SECONDS: Final = 3600.0

BEAT_SECONDS: Final = 1.0


class Webhook:
    """Delivers what `fairlead_gateway.admin.alarm.Alarm` has put down, at least once, always under the same id."""

    def __init__(self, lane: Lane, names: Names, receiver: Receiver) -> None:
        self._lane = lane
        self._receiver = receiver
        due, self._bodies = names.deliveries
        self._due = Due(
            lane, (due,), turn=names.deliveries_turn, beat_seconds=BEAT_SECONDS, lease_seconds=LEASE_SECONDS
        )
        self.delivered = 0
        self.failed = 0
        """Attempts, three each, that came to nothing."""

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._due.run(self.deliver)

    async def deliver(self, id: str) -> int | None:
        """
        Tell it of one alert; when to try again (Redis time, ms), or None when that is done or given up.

        :raises Unavailable: Redis cannot be reached.
        """
        body = await self._lane.call("HGET", self._bodies, id)
        if body is None:
            return None
        if not is_id(id) or not _is_ours(body):
            # What stands in a header must not end it.
            log.warning("a delivery that nobody of ours wrote", id=id[:128])
            await self._lane.call("HDEL", self._bodies, id)
            return None
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.3, max=2.0),
            retry=retry_if_exception_type(Unavailable),
            reraise=True,
        )
        try:
            await retrying(self._receiver.post, id, said(body))
        except Unavailable as error:
            return await self._failed(id, body, error.message)
        self.delivered += 1
        await self._lane.call("HDEL", self._bodies, id)
        return None

    async def _failed(self, id: str, body: bytes, why: str) -> int | None:
        self.failed += 1
        now = await self._now_ms()
        is_given_up = now - _happened_ms(body) > GIVE_UP_SECONDS * 1000
        log.warning("webhook not told of an alert", id=id, why=why, is_given_up=is_given_up)
        if is_given_up:
            await self._lane.call("HDEL", self._bodies, id)
            return None
        return now + int(AGAIN_SECONDS * 1000)

    async def _now_ms(self) -> int:
        seconds, micros = await self._lane.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000


def said(body: bytes) -> bytes:
    """What is posted about an alert."""
    alert = orjson.loads(body)
    return orjson.dumps({"type": f"alert.{alert['state']}", "timestamp": _happened(alert), "data": alert})


def _is_ours(body: bytes) -> bool:
    try:
        said(body)
        _happened_ms(body)
    except (ValueError, TypeError, KeyError, OverflowError):
        return False
    return True


def _happened(alert: dict[str, str]) -> str:
    return alert["until"] or alert["since"]


def _happened_ms(body: bytes) -> int:
    return int(datetime.fromisoformat(_happened(orjson.loads(body))).timestamp() * 1000)
