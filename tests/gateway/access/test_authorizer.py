"""Who may do what in which channel."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from typing import Any, get_args

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.redis.connect import open_async
from fairlead_gateway.access.authorizer import (
    OPENED_BY_CLAIMS,
    ClaimsAuthorizer,
    FirstYes,
    HttpAuthorizer,
    RedisMembers,
    TaskOwners,
    Verb,
    first_yes,
)
from fairlead_gateway.access.claims import GRANTS
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.service import Service
from fairlead_gateway.settings import Settings
from tests.gateway.access.web import response, serving
from tests.support.redis import Server

VERBS: tuple[Verb, ...] = get_args(Verb)
CHANNELS = [f"{kind}:x" for kind in ("user", "session", "instance", "topic", "task", "device", "connection")]
EVERYTHING = Identity("x", grants=dict.fromkeys(GRANTS, ("*",)))
QUESTIONS = list(product(VERBS, [*CHANNELS, "broadcast"]))
NOBODY = Identity("nobody")
ADA = Identity("ada", "admin")


class Clock:
    """Time that a test moves by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


# -- claims --------------------------------------------------------------------------------------


def test_every_verb_has_its_kinds_of_channel() -> None:
    assert OPENED_BY_CLAIMS.keys() == set(VERBS)


@pytest.mark.parametrize(("verb", "channel"), QUESTIONS)
def test_without_a_claim_nothing_is_allowed_but_to_hear_broadcasts(verb: Verb, channel: str) -> None:
    allowed = ClaimsAuthorizer().decide_now(NOBODY, verb, channel)

    assert allowed is (channel == "broadcast" and verb in ("join", "subscribe"))


@pytest.mark.parametrize(("verb", "channel"), QUESTIONS)
def test_with_every_claim_a_connection_of_others_stays_closed_and_broadcasts_are_only_heard(
    verb: Verb, channel: str
) -> None:
    closed = {"connection:x"} | ({"broadcast", "topic:x", "task:x"} if verb == "write" else set())
    closed |= {*CHANNELS, "broadcast"} if verb == "cancel" else set()

    assert ClaimsAuthorizer().decide_now(EVERYTHING, verb, channel) is (channel not in closed)


# -- members in Redis ----------------------------------------------------------------------------


async def test_a_member_of_a_session_may_join_and_speak_and_others_may_not(redis: Redis, names: Names) -> None:
    await redis.sadd(names.members("s1"), "ada")
    members = FirstYes(ClaimsAuthorizer(), RedisMembers(redis, names))

    assert [await members.allows(ADA, verb, "session:s1") for verb in VERBS] == [True] * len(VERBS)
    assert [await members.allows(ADA, verb, "session:s2") for verb in VERBS] == [False] * len(VERBS)
    assert not await members.allows(Identity("bob"), "join", "session:s1")


async def test_membership_opens_sessions_only(redis: Redis, names: Names) -> None:
    await redis.sadd(names.members("x"), "ada")
    members = RedisMembers(redis, names)
    others = [channel for channel in CHANNELS if channel != "session:x"]

    assert [members.decide_now(ADA, "join", channel) for channel in others] == [False] * len(others)
    assert not any([await members.allows(ADA, "join", channel) for channel in others])


async def test_a_membership_that_was_taken_back_is_gone_at_once(redis: Redis, names: Names) -> None:
    members = RedisMembers(redis, names)
    await redis.sadd(names.members("s1"), "ada")
    assert await members.allows(ADA, "join", "session:s1")

    await redis.srem(names.members("s1"), "ada")

    assert not await members.allows(ADA, "join", "session:s1")


# -- whose a task is -------------------------------------------------------------------------------

MAY = {
    "ada": {"join": True, "subscribe": True, "write": False, "cancel": True},
    "bob": {"join": True, "subscribe": True, "write": False, "cancel": False},
    "eve": {"join": False, "subscribe": False, "write": False, "cancel": False},
}


@pytest.mark.parametrize("user", MAY)
async def test_owners_watch_and_cancel_and_watchers_watch(redis: Redis, names: Names, user: str) -> None:
    await redis.hset(names.task("t1"), mapping={"@owner": "ada", "@watchers": '["bob","carl"]'})
    owners = TaskOwners(redis, names, ("admin",))
    identity = Identity(user, "admin")

    assert {verb: await owners.allows(identity, verb, "task:t1") for verb in VERBS} == MAY[user]
    assert not any([await owners.allows(identity, verb, "task:t2") for verb in VERBS])


async def test_an_operator_cancels_what_the_claims_let_them_watch_without_asking(names: Names) -> None:
    nowhere = Redis(port=1, retry=Retry(NoBackoff(), 0))
    owners = TaskOwners(nowhere, names, ("admin", "boss"))

    def decided(role: str, pattern: str, verb: Verb = "cancel") -> bool | None:
        return owners.decide_now(Identity("eve", role, {"tasks": (pattern,)}), verb, "task:t1")

    assert [decided(role, pattern) for role, pattern in product(("admin", "boss"), ("*", "t1", "t-*"))] == [
        *(True, True, None),
        *(True, True, None),
    ]
    assert [decided("clerk", "*"), decided("", "*"), decided("admin", "*", "subscribe")] == [None] * 3
    assert [owners.decide_now(EVERYTHING, verb, "session:x") for verb in VERBS] == [False] * len(VERBS)
    await nowhere.aclose()


async def test_what_the_claims_know_is_decided_without_asking(names: Names) -> None:
    nowhere = Redis(port=1, retry=Retry(NoBackoff(), 0))
    authorizer = FirstYes(ClaimsAuthorizer(), RedisMembers(nowhere, names))
    member = Identity("ada", grants={"sessions": ("s1",)})

    assert authorizer.decide_now(member, "join", "session:s1") is True
    assert authorizer.decide_now(member, "join", "session:s2") is None
    assert authorizer.decide_now(member, "subscribe", "topic:t") is False
    assert await authorizer.allows(member, "join", "session:s1")
    await nowhere.aclose()


async def test_without_redis_the_answer_is_not_yes_but_unavailable_until_it_is_back(
    own_server: Server, names: Names
) -> None:
    redis = open_async(own_server.url, names)
    members = RedisMembers(redis, names)
    own_server.stop()

    with pytest.raises(Unavailable):
        await members.allows(ADA, "join", "session:s1")
    own_server.start()

    assert not await members.allows(ADA, "join", "session:s1")
    await redis.aclose()


async def test_a_redis_that_does_not_answer_is_given_up(
    own_server: Server, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_gateway.access.asking_redis.DEADLINE_SECONDS", 0.1)
    redis = open_async(own_server.url, names)
    members = RedisMembers(redis, names)
    own_server.freeze()

    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await members.allows(ADA, "join", "session:s1")

    await redis.aclose()


# -- an HTTP service -----------------------------------------------------------------------------


@pytest.mark.parametrize("allow", [True, False])
async def test_the_service_is_asked_who_wants_what_and_its_word_counts(allow: bool) -> None:
    async with serving({"allow": allow}) as web:
        authorizer = HttpAuthorizer(Service(web.url, "X"), cache_seconds=10)

        assert await authorizer.allows(ADA, "write", "topic:prices") is allow

    assert json.loads(web.requests[0].partition(b"\r\n\r\n")[2]) == {
        "user_id": "ada",
        "role": "admin",
        "verb": "write",
        "channel": "topic:prices",
    }


async def test_an_answer_is_remembered_for_as_long_as_the_setting_says() -> None:
    clock = Clock()
    async with serving({"allow": True}) as web:
        authorizer = HttpAuthorizer(Service(web.url, "X"), cache_seconds=10, clock=clock)
        assert authorizer.decide_now(ADA, "join", "session:s1") is None
        assert await authorizer.allows(ADA, "join", "session:s1")
        web.says({"allow": False})

        clock.now = 9.9
        assert authorizer.decide_now(ADA, "join", "session:s1") is True
        assert await authorizer.allows(ADA, "join", "session:s1")
        clock.now = 10
        assert not await authorizer.allows(ADA, "join", "session:s1")

    assert len(web.requests) == 2


@pytest.mark.parametrize(
    ("who", "verb", "channel"),
    [
        (Identity("bob", "admin"), "join", "session:s1"),
        (Identity("ada", "guest"), "join", "session:s1"),
        (ADA, "write", "session:s1"),
        (ADA, "join", "session:s2"),
    ],
)
async def test_an_answer_holds_for_its_question_only(who: Identity, verb: Verb, channel: str) -> None:
    async with serving({"allow": True}) as web:
        authorizer = HttpAuthorizer(Service(web.url, "X"), cache_seconds=10)
        await authorizer.allows(ADA, "join", "session:s1")

        assert authorizer.decide_now(who, verb, channel) is None


@pytest.mark.parametrize(
    "answer",
    [
        response(b'{"allow": 1}'),
        response(b'{"allow": "true"}'),
        response(b'{"allowed": true}'),
        response(b"true"),
        response(b"null"),
        response(b"[]"),
        response(b""),
        response(b"<html>"),
        response(b'{"allow": true}', "500 Oh No"),
        response(b'{"allow": true}', "201 Created"),
        response(b'{"allow": true}', "302 Found", "Location: https://evil.example/\r\n"),
        b"",
    ],
)
async def test_anything_but_a_clear_answer_lets_nobody_in_and_is_not_remembered(answer: bytes) -> None:
    async with serving() as web:
        web.answer = answer
        authorizer = HttpAuthorizer(Service(web.url, "X"), cache_seconds=10)

        with pytest.raises(Unavailable):
            await authorizer.allows(ADA, "join", "session:s1")
        web.says({"allow": True})

        assert await authorizer.allows(ADA, "join", "session:s1")


async def test_a_crowd_waits_its_turn_and_no_longer_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_gateway.access.authorizer._TURN_SECONDS", 0.2)
    async with serving({"allow": True}) as web:
        web.waits.clear()
        authorizer = HttpAuthorizer(Service(web.url, "X"), cache_seconds=10)
        questions = [asyncio.create_task(authorizer.allows(ADA, "join", f"session:{n}")) for n in range(70)]

        refused = await asyncio.wait_for(_first_failures(questions, 6), 5)
        web.waits.set()
        allowed = [await question for question in questions if question not in refused]

    assert all("asked too much" in str(question.exception()) for question in refused)
    assert allowed == [True] * 64


async def test_every_question_gives_its_turn_back() -> None:
    async with serving({"allow": True}) as web:
        authorizer = HttpAuthorizer(Service(web.url, "X"), cache_seconds=10)

        answers = [await authorizer.allows(ADA, "join", f"session:{n}") for n in range(70)]

    assert answers == [True] * 70


async def _first_failures(tasks: list[asyncio.Task[bool]], count: int) -> list[asyncio.Task[bool]]:
    while len(failed := [task for task in tasks if task.done()]) < count:
        await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    return failed


# -- together ------------------------------------------------------------------------------------


class Says:
    """A source of permission with one answer, which it gives late if it is told to."""

    def __init__(self, answer: bool | Exception, *, at_once: bool = True) -> None:
        self.answer = answer
        self.at_once = at_once
        self.asked = 0

    def decide_now(self, *_: Any) -> bool | None:
        return self.answer if self.at_once and isinstance(self.answer, bool) else None

    async def allows(self, *_: Any) -> bool:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("sources", "now", "later"),
    [
        ([], False, False),
        ([Says(False), Says(False)], False, False),
        ([Says(False), Says(True)], True, True),
        ([Says(True, at_once=False), Says(True)], True, True),
        ([Says(False), Says(True, at_once=False)], None, True),
        ([Says(False, at_once=False), Says(False)], None, False),
    ],
)
async def test_the_first_yes_counts_and_no_yes_is_a_no(sources: list[Says], now: bool | None, later: bool) -> None:
    together = FirstYes(*sources)

    assert together.decide_now(ADA, "join", "session:s1") is now
    assert await together.allows(ADA, "join", "session:s1") is later


async def test_after_a_yes_nobody_else_is_asked() -> None:
    last = Says(Unavailable("away"))

    assert await FirstYes(Says(True), last).allows(ADA, "join", "session:s1")
    assert last.asked == 0


async def test_an_authorizer_url_replaces_the_members_in_redis(redis: Redis, names: Names) -> None:
    await redis.sadd(names.members("s1"), "ada")

    assert await first_yes(Settings(), redis, names).allows(ADA, "join", "session:s1")
    async with serving({"allow": False}) as web:
        by_http = first_yes(Settings(authorizer_url=web.url), redis, names)
        assert not await by_http.allows(ADA, "join", "session:s1")


def test_an_authorizer_url_in_the_clear_is_refused(names: Names) -> None:
    with pytest.raises(ValueError, match="FAIRLEAD_AUTHORIZER_URL must begin with https"):
        first_yes(Settings(authorizer_url="http://authz.example/"), Redis(), names)
