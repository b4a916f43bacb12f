"""May this user do that in this channel: first what the token says, then whoever else may know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final, Literal, Protocol

import orjson
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.names import Names, id_of, kind_of
from fairlead.redis.shards import Shards, shards_of
from fairlead_gateway.access.asking_redis import asking_redis
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.remembered import Remembered
from fairlead_gateway.access.service import Service
from fairlead_gateway.settings import Settings

Verb = Literal["join", "subscribe", "write", "cancel"]

OPENED_BY_CLAIMS: Final = {
    "join": frozenset({"broadcast", "user", "session", "instance", "topic", "task", "device"}),
    "subscribe": frozenset({"broadcast", "user", "session", "instance", "topic", "task", "device"}),
    "write": frozenset({"user", "session", "instance", "device"}),
    "cancel": frozenset(),
}
"""The kinds of channel for which a claim gives leave: topics, tasks and broadcasts are only listened to."""

_REMEMBERED_ANSWERS: Final = 10_000
_QUESTIONS_AT_ONCE: Final = 64
_TURN_SECONDS: Final = 2.0


class Authorizer(Protocol):
    """One source of permission. Channels are well-formed: `fairlead.names.checked_channel` has seen them."""

    def decide_now(self, identity: Identity, verb: Verb, channel: str) -> bool | None:
        """The answer if it is known without waiting, else None."""

    async def allows(self, identity: Identity, verb: Verb, channel: str) -> bool:
        """
        The answer.

        :raises Unavailable: nobody could say, which is a no that may be asked again.
        """


class ClaimsAuthorizer:
    """What the token says: it always knows, and knows nothing else."""

    def decide_now(self, identity: Identity, verb: Verb, channel: str) -> bool:
        return kind_of(channel) in OPENED_BY_CLAIMS[verb] and identity.claims_allow(channel)

    async def allows(self, identity: Identity, verb: Verb, channel: str) -> bool:
        return self.decide_now(identity, verb, channel)


class RedisMembers:
    """Who is a member of a session may join it and speak in it; backends write the set with ``grant_session``."""

    def __init__(self, redis: Redis | Shards, names: Names) -> None:
        self._shards = shards_of(redis)
        self._names = names

    def decide_now(self, identity: Identity, verb: Verb, channel: str) -> bool | None:
        return None if kind_of(channel) == "session" else False

    async def allows(self, identity: Identity, verb: Verb, channel: str) -> bool:
        if kind_of(channel) != "session":
            return False
        async with asking_redis():
            members = self._names.members(id_of(channel))
            (is_member,) = await self._shards.ask(("SISMEMBER", members, identity.user_id))
            return bool(is_member)


class TaskOwners:
    """
    Whoever a task is done for may watch and cancel it, and whoever is named as a watcher may watch.

    :param operators: roles that may also cancel what their claims let them watch.
    """

    def __init__(self, redis: Redis | Shards, names: Names, operators: Collection[str]) -> None:
        self._shards = shards_of(redis)
        self._names = names
        self._operators = operators

    def decide_now(self, identity: Identity, verb: Verb, channel: str) -> bool | None:
        if kind_of(channel) != "task" or verb == "write":
            return False
        is_operator = verb == "cancel" and identity.role in self._operators and identity.claims_allow(channel)
        return True if is_operator else None

    async def allows(self, identity: Identity, verb: Verb, channel: str) -> bool:
        known = self.decide_now(identity, verb, channel)
        if known is not None:
            return known
        async with asking_redis():
            command = ("HMGET", self._names.task(id_of(channel)), "@owner", "@watchers")
            ((owner, watchers),) = await self._shards.ask(command)
        if owner is not None and owner.decode() == identity.user_id:
            return True
        return verb != "cancel" and watchers is not None and identity.user_id in orjson.loads(watchers)


class HttpAuthorizer:
    """
    Asks ``POST {"user_id", "role", "verb", "channel"}``; a 200 with ``{"allow": true}`` is a yes, ``false`` a no.

    Anything else is `Unavailable`, and not remembered.

    :param cache_seconds: how long a yes or no is remembered.
    """

    def __init__(self, service: Service, cache_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._answers: Remembered[tuple[str, str, Verb, str], bool] = Remembered(_REMEMBERED_ANSWERS)
        self._turn = asyncio.Semaphore(_QUESTIONS_AT_ONCE)

    def decide_now(self, identity: Identity, verb: Verb, channel: str) -> bool | None:
        return self._answers.get((identity.user_id, identity.role, verb, channel), self._clock())

    async def allows(self, identity: Identity, verb: Verb, channel: str) -> bool:
        known = self.decide_now(identity, verb, channel)
        return known if known is not None else await self._ask(identity, verb, channel)

    async def _ask(self, identity: Identity, verb: Verb, channel: str) -> bool:
        question = {"user_id": identity.user_id, "role": identity.role, "verb": verb, "channel": channel}
        await self._take_turn()
        try:
            answer = _allowed(await self._service.post(orjson.dumps(question)))
        finally:
            self._turn.release()
        key = (identity.user_id, identity.role, verb, channel)
        self._answers.keep(key, answer, self._clock() + self._cache_seconds)
        return answer

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Unavailable("the service of FAIRLEAD_AUTHORIZER_URL is asked too much; try again") from error


class FirstYes:
    """Several sources in order: the first yes counts, and no yes is a no."""

    def __init__(self, *sources: Authorizer) -> None:
        self._sources = sources

    def decide_now(self, identity: Identity, verb: Verb, channel: str) -> bool | None:
        answer: bool | None = False
        for source in self._sources:
            known = source.decide_now(identity, verb, channel)
            if known:
                return True
            if known is None:
                answer = None
        return answer

    async def allows(self, identity: Identity, verb: Verb, channel: str) -> bool:
        for source in self._sources:
            if await source.allows(identity, verb, channel):
                return True
        return False


def first_yes(settings: Settings, redis: Redis | Shards, names: Names) -> FirstYes:
    """
    What the operator asked for: the token's claims, then whose a task is, then the HTTP service if there is one, else
    the members in Redis.

    :raises ValueError: the service's address is none that may be asked.
    """
    owners = TaskOwners(redis, names, settings.task_operator_roles)
    if not settings.authorizer_url:
        return FirstYes(ClaimsAuthorizer(), owners, RedisMembers(redis, names))
    service = Service(settings.authorizer_url, "FAIRLEAD_AUTHORIZER_URL")
    return FirstYes(ClaimsAuthorizer(), owners, HttpAuthorizer(service, settings.authorizer_cache_seconds))


def _allowed(body: bytes) -> bool:
    try:
        allow = orjson.loads(body)["allow"]
    except (ValueError, TypeError, LookupError) as error:
        raise Unavailable('the service of FAIRLEAD_AUTHORIZER_URL must answer {"allow": true} or false') from error
    if not isinstance(allow, bool):
        raise Unavailable('the service of FAIRLEAD_AUTHORIZER_URL must answer {"allow": true} or false')
    return allow
