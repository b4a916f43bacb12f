"""Questions to people, as replicas deal with them: answers taken, open ones found, deadlines kept (ASK-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from fairlead import asks
from fairlead.asking import Asks
from fairlead.asks import Result, Standing
from fairlead.names import Names
from fairlead.question import split
from fairlead.response import Fault, Responder, checked_response
from fairlead_gateway.facts.lane import Lane


class Answered(NamedTuple):
    """What became of somebody's answer."""

    status: Result | Literal["invalid"]
    standing: Standing | None = None
    faults: Sequence[Fault] = ()


class Questions:
    """
    Takes answers through the lane, as they are part of what clients wait for; the rest is done by *asks*.

    All raise `Unavailable` while Redis cannot be reached, and may be asked again.
    """

    def __init__(self, lane: Lane, names: Names, people: Asks) -> None:
        self._lane = lane
        self._names = names
        self._people = people

    async def answer(
        self,
        callback_id: str,
        by: Responder,
        proceed: bool | None,
        feedback: str | None,
        choice: str | None,
        content: dict[str, Any] | None,
    ) -> Answered:
        """What becomes of an answer; one that is not what was asked for changes nothing."""
        id_, secret = split(callback_id)
        record = asks.record(self._names, id_)
        _, standing = asks.settled(id_, await self._lane.run(*asks.look(record, wholly=True)))
        if standing is None or standing.secret != secret:
            return Answered("unknown")
        if set(by.channels).isdisjoint(standing.to):
            return Answered("forbidden")
        response, faults = checked_response(standing.asked, proceed, feedback, choice, content)
        if response is None:
            return Answered("invalid", standing, faults)
        result, found = asks.settled(id_, await self._lane.run(*asks.answer(record, secret, by, response)))
        return Answered(result, found and found._replace(asked=standing.asked))

    def ask_for(self, channels: Sequence[str]) -> list[asyncio.Future[Any]]:
        """How many questions each of *channels*, users or roles, has yet to answer; at least."""
        return [self._lane.call("ZCARD", self._names.asks(channel)) for channel in channels]

    async def open_of(self, channels: Sequence[str]) -> list[Standing]:
        """Questions that users or roles have yet to answer, the most urgent first, as they stand now."""
        lists = await asyncio.gather(*(self._lane.call("ZRANGE", self._names.asks(to), 0, -1) for to in channels))
        ids = dict.fromkeys(id_.decode() for found in lists for id_ in found)
        looks = [asks.look(asks.record(self._names, id_), wholly=True) for id_ in ids]
        replies = await asyncio.gather(*(self._lane.run(*look) for look in looks))
        found = [asks.settled(id_, reply)[1] for id_, reply in zip(ids, replies, strict=True)]
        return [
            one for one in found if one is not None and one.state == "pending" and not set(one.to).isdisjoint(channels)
        ]

    async def announce(self, standing: Standing) -> Standing:
        """Tell everybody that a question is over."""
        return await self._people.announce(standing)

    async def tend(self, id: str) -> Standing | None:
        """Do whatever is to be done about a question now; the question, if this has ended it."""
        return await self._people.tend(id)

    async def cancel_of_task(self, task_id: str) -> int:
        """Cancel all open questions of a task; how many those were."""
        return await self._people.cancel_of_task(task_id)
