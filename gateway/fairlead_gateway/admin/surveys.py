"""Surveys: one replica asks, every replica that knows something answers, and who did not answer is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import structlog

from fairlead.errors import FairleadError, Unavailable
from fairlead.format.control import Finding, SurveyOrder, finding, survey_order
from fairlead.ids import uuid7
from fairlead.names import FLEET, id_of, kind_of, replica_channel
from fairlead.state import presence
from fairlead.state.presence import members_of
from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 2.0
"""How long replicas may take to answer, unless the question says otherwise."""

ANSWERING: Final = 500
"""Questions that a replica works at, at most; it is silent about more."""

ANSWERING_SECONDS: Final = 15.0
"""How long it works at one of them; nobody waits for longer."""

Found: TypeAlias = Mapping[str, Any]

Answer: TypeAlias = Callable[[Replica, Mapping[str, Any]], Awaitable[Found]]
"""What a replica knows about something: JSON of less than a megabyte. The question is not trusted; it is from Redis."""


class Survey(NamedTuple):
    """What replicas answered."""

    found: dict[str, Found]
    """By replica."""
    silent: list[str]
    """Replicas that live and did not answer in time; empty where it is not known who should have."""
    is_complete: bool = True
    """Whether as many have answered as have heard the question."""


class _Asked:
    """A survey that answers are awaited to."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.expected: int | None = None
        self.is_complete = asyncio.Event()

    def take(self, replica: str, found: Found) -> None:
        self.found[replica] = found
        self._look()

    def expect(self, replicas: int) -> None:
        self.expected = replicas
        self._look()

    def _look(self) -> None:
        if self.expected is not None and len(self.found) >= self.expected:
            self.is_complete.set()


class Surveys:
    """
    Asks other replicas, and answers them.

    A question goes out on a channel that replicas hear: `FLEET` for all of them, ``user:42`` for those who hold one of
    that user's connections. The answers come back on a channel that only the asking replica hears. At most once both
    ways: an answer that is lost makes its replica a silent one.

    :param answers: by the name of the question.
    """

    def __init__(self, replica: Replica, answers: Mapping[str, Answer]) -> None:
        self._replica = replica
        self._answers = answers
        self._asked: dict[str, _Asked] = {}
        self._answering = 0

    @property
    def channels(self) -> tuple[str, str]:
        """What this replica must hear, whoever is connected."""
        return FLEET, replica_channel(self._replica.id)

    async def ask(
        self, what: str, about: Mapping[str, Any] | None = None, *, of: str = FLEET, seconds: float = ANSWER_SECONDS
    ) -> Survey:
        """
        What the replicas that hear the channel *of* know; returns when all of them have answered, or time is up.

        :raises Unavailable: Redis cannot be reached.
        """
        order = SurveyOrder(uuid7(), what, about or {}, replica_channel(self._replica.id))
        asked = self._asked[order.id] = _Asked()
        try:
            alive = await self._alive() if of == FLEET else frozenset()
            sent = await self._replica.publisher.publish(of, survey_order(order), durable=False)
            # Who has just died is alive still, and who has just come is not yet.
            asked.expect(max(sent.receivers, len(alive)))
            try:
                async with asyncio.timeout(seconds):
                    await asked.is_complete.wait()
            except TimeoutError:
                log.info("survey incomplete", about=what, answered=len(asked.found), expected=asked.expected)
                alive = alive or await self._holders(of)
        finally:
            del self._asked[order.id]
        return Survey(asked.found, sorted(alive - asked.found.keys()), asked.is_complete.is_set())

    def answered(self, answer: Finding) -> None:
        """A replica has answered something that was asked here."""
        asked = self._asked.get(answer.id)
        if asked is not None:
            asked.take(answer.replica, answer.found)

    def obey(self, order: SurveyOrder) -> None:
        """Another replica, or this one, asks; what this one has never heard of it does not answer."""
        answer = self._answers.get(order.what)
        if answer is None:
            return
        if self._answering == ANSWERING:
            log.info("survey not answered", about=order.what, why="too many are asked at once")
            return
        self._answering += 1
        task = self._replica.tasks.start(self._tell(order, answer), name=f"survey {order.what}")
        task.add_done_callback(self._told)

    def _told(self, _: asyncio.Task[None]) -> None:
        self._answering -= 1

    async def _tell(self, order: SurveyOrder, answer: Answer) -> None:
        try:
            async with asyncio.timeout(ANSWERING_SECONDS):
                found = await answer(self._replica, order.about)
            said = finding(Finding(order.id, self._replica.id, found))
            await self._replica.publisher.publish(order.to, said, durable=False)
        except TimeoutError:
            log.info("survey not answered", about=order.what, why="it took too long")
        except Unavailable as error:
            log.info("survey not answered", about=order.what, why=error.message)
        except FairleadError as error:
            log.warning("survey not answered", about=order.what, why=error.message)

    async def _holders(self, channel: str) -> frozenset[str]:
        """Replicas that live and should hear *channel*, as far as it is written down who sits where."""
        alive = await self._alive()
        if channel.startswith("replica:"):
            return alive & {id_of(channel)}
        if kind_of(channel) == "connection":
            return frozenset()
        return frozenset(one.replica for one in await self._replica.lane.look(members_of(self._replica.names, channel)))

    async def _alive(self) -> frozenset[str]:
        return await self._replica.lane.look(presence.replicas_alive(self._replica.names))
