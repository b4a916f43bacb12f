"""Sentinels: where the master is now, believed when enough of them say the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from typing import Any, Final

from redis.exceptions import ConnectionError, RedisError

from fairlead.redis.address import Address, HostPort
from fairlead.redis.once import ask_once, ask_once_sync
from fairlead.redis.placed import Place

ANSWER_SECONDS: Final = 1.0
"""How long one sentinel may take."""

FOLLOW_SECONDS: Final = 1.0
"""How often a backend asks whether the master is still the same."""


def elected(answers: Sequence[HostPort | None], configured: int) -> HostPort | None:
    """
    What most of *answers* say, two at least where two sentinels are configured.

    :param answers: of each sentinel that was reached; None from one that does not know the service.
    """
    enough = max(len(answers) // 2 + 1, min(2, configured))
    for answer, votes in Counter(answers).most_common(1):
        if votes >= enough:
            return answer
    return None


class Service(Place):
    """A master that sentinels know by the name of its service; asked for anew whenever we connect."""

    def __init__(self, address: Address) -> None:
        super().__init__(*address.hosts[0])
        self.address = address
        self._question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service)

    async def locate(self) -> HostPort:
        """
        Where the master is.

        :raises ConnectionError: too few sentinels can be reached, or they do not agree.
        """
        asked = [asyncio.ensure_future(self._ask(host)) for host in self.address.hosts]
        answers: list[HostPort | None] = []
        try:
            for answered in asyncio.as_completed(asked):
                answers += await answered
                if found := self._settled(answers):
                    return found
        finally:
            for one in asked:
                one.cancel()
        return self._elected(answers)

    def locate_sync(self) -> HostPort:
        """As `locate`; asks one sentinel after the other, until enough agree."""
        answers: list[HostPort | None] = []
        for host in self.address.hosts:
            try:
                (reply,) = ask_once_sync(self.address.sentinel_url, host, self._question, seconds=ANSWER_SECONDS)
            except (RedisError, OSError):
                continue
            answers.append(_answer(reply))
            if found := self._settled(answers):
                return found
        return self._elected(answers)

    async def follow(self) -> None:
        """Ask every second until cancelled, and end what leads to a master of before: cut off, it may not know."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            with suppress(ConnectionError):
                self.drop(but=await self.locate())

    def follow_sync(self, ended: Event) -> None:
        """As `follow`, for a thread, until *ended*."""
        while not ended.wait(FOLLOW_SECONDS):
            with suppress(ConnectionError):
                self.drop(but=self.locate_sync())

    async def _ask(self, host: HostPort) -> list[HostPort | None]:
        """One answer, or none when it cannot be reached."""
        try:
            (reply,) = await ask_once(self.address.sentinel_url, host, self._question, seconds=ANSWER_SECONDS)
        except (RedisError, OSError):
            return []
        return [_answer(reply)]

    def _settled(self, answers: Sequence[HostPort | None]) -> HostPort | None:
        """What so many say already that the others cannot outvote them."""
        for answer, votes in Counter(answers).most_common(1):
            if votes > len(self.address.hosts) // 2:
                return answer
        return None

    def _elected(self, answers: Sequence[HostPort | None]) -> HostPort:
        found = elected(answers, len(self.address.hosts))
        if found is None:
            reached = f"{len(answers)} of {len(self.address.hosts)} sentinels reached"
            raise ConnectionError(f"no master of {self.address.service} is agreed upon ({reached})")
        return found


def _answer(reply: Any) -> HostPort | None:
    if not reply:
        return None
    host, port = reply
    return host.decode(), int(port)
