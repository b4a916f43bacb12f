"""Questions to people, as replicas deal with them: answers taken, open ones found, deadlines kept (ASK-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from fairlead.names import Names, is_id
from fairlead.questions import asks, talks
from fairlead.questions.asking import Asks
from fairlead.questions.asks import Record, Result, Standing, State
from fairlead.questions.question import Question, split
from fairlead.questions.response import Fault, Responder, checked_response, plain_response
from fairlead.redis.calls import Call
from fairlead_gateway.facts import pages
from fairlead_gateway.facts.lane import Lane


class Answered(NamedTuple):
    """What became of somebody's answer."""

    status: Result | Literal["invalid"]
    standing: Standing | None = None
    faults: Sequence[Fault] = ()


_OVER: Final[Mapping[State, Result]] = {
    "answered": "already_answered",
    "timed_out": "expired",
    "cancelled": "cancelled",
    "undeliverable": "cancelled",
}
"""What anybody is told who answers a question that is over."""

_LATE: Final = frozenset(_OVER.values())


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
        # Most questions ask no more than whether to go on, so that it need not be read what they ask.
        response = plain_response(proceed, feedback, choice, content)
        result, standing = await self._settle(record, asks.answer(record, secret, by, response, checked=False))
        if result == "unchecked" and standing is not None:
            response, faults = checked_response(standing.asked, proceed, feedback, choice, content)
            if response is None:
                over = _OVER.get(standing.state)
                return Answered(over, standing) if over else Answered("invalid", standing, faults)
            result, standing = await self._settle(record, asks.answer(record, secret, by, response))
        if standing is None or result == "forbidden":
            return Answered(result)
        if result in _LATE and response is not None:
            for command in talks.late(self._names, standing, by, response):
                self._lane.call(*command)
        return Answered(result, standing)

    async def _settle(self, record: Record, call: Call) -> tuple[Result, Standing | None]:
        reply = await (self._people.call(call) if self._people.needs_copies else self._lane.run(*call))
        return asks.settled(record.id, reply)

    async def may_be_asked(self, role: str) -> bool:
        """Whether there may be questions that somebody with *role* has yet to answer; of users, their seats know."""
        return is_id(role) and bool(await self._lane.call("EXISTS", self._names.asks(f"role:{role}")))

    async def open_of(self, channels: Sequence[str]) -> list[Standing]:
        """Questions that users or roles have yet to answer, the most urgent first, as they stand now."""
        lists = await asyncio.gather(*(self._lane.call("ZRANGE", self._names.asks(to), 0, -1) for to in channels))
        found = await self.looked_at([id_.decode(errors="replace") for ids in lists for id_ in ids])
        found = [one for one in found if one.asked and one.state == "pending" and not set(one.to).isdisjoint(channels)]
        return sorted(found, key=lambda one: one.deadline)

    async def pending(self, cursor: str, limit: int) -> tuple[list[Standing], str]:
        """
        Some questions that wait for an answer, at most *limit*, and the cursor of the next page; see `pages.page`.

        :raises InvalidMessage: *cursor* is none that a page gave.
        """
        found = await pages.page(self._lane, self._names.all_asks_due(), cursor, limit)
        return [
            one for one in await self.looked_at(found.members) if one.state == "pending" and one.asked
        ], found.cursor

    async def looked_at(self, ids: Iterable[str]) -> list[Standing]:
        """How it stands with questions now; those that are not known are left out."""
        once = list(dict.fromkeys(ids))
        looks = [asks.look(asks.record(self._names, id_), wholly=True) for id_ in once]
        replies = await asyncio.gather(*(self._lane.run(*look) for look in looks))
        found = [asks.settled(id_, reply)[1] for id_, reply in zip(once, replies, strict=True)]
        return [one for one in found if one is not None]

    async def open(self, question: Question) -> Standing:
        """Ask, or find what was asked before under the same key; raises as `fairlead.questions.asking.Asks.open`."""
        return await self._people.open(question)

    async def standing(self, callback_id: str, wait_seconds: float = 0.0) -> Standing:
        """
        How it stands with a question when it is over, or after *wait_seconds*.

        :param callback_id: or the id alone, as it is known to who may not answer.
        :raises NotFound: it was never asked, or was over more than a day ago.
        """
        return await self._people.standing(*_parts(callback_id), wait_seconds)

    async def close(self, callback_id: str) -> tuple[Result, Standing | None]:
        """Cancel a question, named as for `standing`; what became of that, and how it stands since."""
        return await self._people.close(*_parts(callback_id))

    async def announce(self, standing: Standing) -> None:
        """Tell everybody that a question is over."""
        await self._people.announce(standing)

    async def tend(self, id: str) -> None:
        """Do whatever is to be done about a question now."""
        await self._people.tend(id)

    async def cancel_of_task(self, task_id: str) -> int:
        """Cancel all open questions of a task; how many those were."""
        return await self._people.cancel_of_task(task_id)


def _parts(callback_id: str) -> tuple[str, str]:
    """Id and secret; of the id alone, which is public, no secret."""
    id_, _, _ = callback_id.partition(".")
    return split(callback_id) if id_ != callback_id else (id_, "")
