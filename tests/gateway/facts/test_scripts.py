"""Every Lua script, the gateway's and the shared ones, on every server at hand and in both of its forms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any

import pytest
from msgpack import packb
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from fairlead.format.envelope import Envelope
from fairlead.names import Names, partition_of
from fairlead.redis import scripts as shared
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import SCRIPTS
from tests.support.redis import Server, debian_binary, valkey_binary

Run = Callable[[str, Sequence[str], Sequence[object]], Awaitable[Any]]

NAMES = Names("scripts")
DURABLE = NAMES.of_durable("user:42")
DEPARTURES = NAMES.departures(partition_of("user:42"))
SEAT = (NAMES.conns("42"), NAMES.online(partition_of("user:42")), *DEPARTURES)
LAST_SEEN = NAMES.last_seen(partition_of("user:42"))
OF_SESSION = partition_of("session:s")
IN_SESSION = (
    NAMES.here("session:s"),
    NAMES.people("session:s"),
    *NAMES.departures(OF_SESSION),
    NAMES.sessions(OF_SESSION),
)
LEASE = (NAMES.replicas, NAMES.sweeping, NAMES.replica("r1"))

PACKAGES = {
    path.name.removesuffix(".lua"): package
    for package in (shared.__name__, SCRIPTS)
    for path in files(package).iterdir()
    if path.name.endswith(".lua")
}


async def publish(run: Run, redis: Redis) -> None:
    def args(message_id: str) -> tuple[object, ...]:
        return NAMES.pubsub("user:42"), 100, 60, 1, 60, "epoch", message_id, b"envelope"

    await redis.set(NAMES.term(partition_of("user:42")), "term")
    first, again = [await run("publish", DURABLE, args("m-1")) for _ in range(2)]
    second = await run("publish", DURABLE, args("m-2"))
    assert (first, again) == ([1, b"epoch.term", 0, 0], [1, b"epoch.term", 1, 0])
    assert second == [2, b"epoch.term", 0, 0]
    assert await redis.zrange(NAMES.seen("user:42"), 0, -1) == [b"m-2"], "one id is remembered"


async def latest(run: Run, redis: Redis) -> None:
    keys = (*DURABLE, NAMES.latest("user:42"))

    def args(message_id: str, envelope: str, keep: int) -> tuple[object, ...]:
        return NAMES.pubsub("user:42"), keep, 60, 10, 60, "epoch", message_id, envelope, 60

    assert await run("latest", keys, args("m-1", "one", 0)) == [0, b"", 0, 0]
    assert not await redis.exists(*DURABLE[:3])
    said = [await run("latest", keys, args(id, envelope, 9)) for id, envelope in (("a", "1"), ("b", "2"), ("a", "1"))]
    assert said == [[1, b"epoch.0", 0, 0], [2, b"epoch.0", 0, 0], [1, b"epoch.0", 1, 0]]
    assert (await redis.get(keys[4]), await redis.ttl(keys[4])) == (b"2", 60), "not what was said before"


async def read(run: Run, redis: Redis) -> None:
    new = await run("read", DURABLE, (60, "epoch", "", 0, "", 0))
    await publish(run, redis)
    top = await run("read", DURABLE, (60, "other", "", 0, "", 0))
    since = await run("read", DURABLE, (60, "other", "epoch.term", 1, "m-1", 10))
    forked = await run("read", DURABLE, (60, "other", "epoch.before", 1, "m-x", 10))
    assert new == [0, b"epoch.0", b"", 0, []]
    assert top == [2, b"epoch.term", b"m-2", 0, []]
    assert (since[3], [entry[0] for entry in since[4]]) == (1, [b"2-0"])
    assert forked[3:] == [0, []]


async def past(run: Run, redis: Redis) -> None:
    log, meta, _, term = DURABLE
    keys = (log, meta, term)

    async def page(*args: object) -> tuple[int, list[bytes]]:
        offset, epoch, more, entries = await run("past", keys, args)
        assert (offset, epoch) == (30, b"epoch.term")
        return more, [id for id, _ in entries]

    assert await run("past", keys, ("", 10, 1000)) == [0, b"", 0, []]
    assert not await redis.exists(*keys)
    for offset in range(1, 31):
        await redis.xadd(log, {"m": f"m-{offset}", "d": "x" * 10}, id=f"{offset}-0")
    assert await run("past", keys, ("", 10, 1000)) == [0, b"", 0, []], "nobody knows whose offsets these are"
    await redis.hset(meta, mapping={"e": "epoch", "o": 30})
    await redis.set(term, "term")
    assert await page("", 2, 1000) == (1, [b"30-0", b"29-0"])
    assert await page(29, 2, 1000) == (1, [b"28-0", b"27-0"])
    assert await page(3, 2, 1000) == (0, [b"2-0", b"1-0"])
    assert await page(1, 2, 1000) == (0, [])
    assert await page(2**53 - 1, 1, 1000) == (1, [b"30-0"])
    assert await page("", 100, 100) == (1, [b"%d-0" % offset for offset in range(30, 20, -1)]), "as many as fit"
    assert await page("", 100, 5) == (1, [b"30-0"]), "one in any case"
    assert await page("", 100, 300) == (0, [b"%d-0" % offset for offset in range(30, 0, -1)])
    await redis.delete(log)
    assert await page("", 100, 1000) == (0, [])


async def term(run: Run, redis: Redis) -> None:
    keys = [NAMES.term(1), NAMES.term(2)]
    written = await run("term", keys, ())
    assert await redis.mget(keys) == [written, written]
    assert written.decode() in (await redis.info("replication"))["master_replid"]


async def forget(run: Run, redis: Redis) -> None:
    await redis.xgroup_create(NAMES.ingress, "group", mkstream=True)
    await redis.xgroup_createconsumer(NAMES.ingress, "group", "gone")
    assert await run("forget", [NAMES.ingress], ("group", 60_000)) == 0
    assert await run("forget", [NAMES.ingress], ("group", -1)) == 1


async def owed(run: Run, redis: Redis) -> None:
    assert "NOGROUP" in str(await refusal(run("owed", [NAMES.events], ("crm", "a", "own", "-", 10))))
    await redis.xgroup_create(NAMES.events, "crm", mkstream=True)
    first, second, third = [await redis.xadd(NAMES.events, {"n": n}) for n in range(3)]
    await redis.xreadgroup("crm", "a", {NAMES.events: ">"}, count=2)
    await redis.xreadgroup("crm", "b", {NAMES.events: ">"})
    await redis.xdel(NAMES.events, second)

    assert await run("owed", [NAMES.events], ("crm", "b", "idle", 60_000, 10)) == []
    own = await run("owed", [NAMES.events], ("crm", "a", "own", "-", 10))
    assert own == [[first, 1, [b"n", b"0"]], [second, 1]]
    assert await run("owed", [NAMES.events], ("crm", "a", "own", f"({second.decode()}", 10)) == []
    assert await run("owed", [NAMES.events], ("crm", "a", "idle", 0, 1)) == [[first, 2, [b"n", b"0"]]]
    assert {first, third} <= {one[0] for one in await run("owed", [NAMES.events], ("crm", "a", "idle", 0, 10))}
    assert third in [one["message_id"] for one in await redis.xpending_range(NAMES.events, "crm", "-", "+", 9, "a")]


async def refusal(asked: Awaitable[Any]) -> ResponseError:
    with pytest.raises(ResponseError) as caught:
        await asked
    return caught.value


ANSWER = [NAMES.answer("42", "a-1")]


async def answer(run: Run, redis: Redis) -> None:
    assert await run("answer", ANSWER, ("yes", "me", 60_000, "one")) == [b"answered", b"yes", 1]
    assert await run("answer", ANSWER, ("yes", "me", 60_000, "one")) == [b"answered", b"yes", 1]
    assert await run("answer", ANSWER, ("no", "you", 60_000, "two")) == [b"answered", b"yes", 0]
    assert await redis.hget(ANSWER[0], "tell") == b"you"
    assert 59_000 < await redis.pttl(ANSWER[0]) <= 60_000


async def collect(run: Run, redis: Redis) -> None:
    assert await run("collect", ANSWER, (0, 60_000)) == [b"", b""]
    assert not await redis.exists(*ANSWER)
    await answer(run, redis)
    assert [await run("collect", ANSWER, (last, 60_000)) for last in (0, 1)] == [[b"yes", b"you"]] * 2
    assert await run("answer", ANSWER, ("no", "", 60_000, "two")) == [b"delivered", b"yes", 0]
    await redis.delete(*ANSWER)
    assert await run("collect", ANSWER, (1, 60_000)) == [b"", b""]
    assert await run("answer", ANSWER, ("yes", "", 60_000, "one")) == [b"late", b"yes", 1]
    assert await run("collect", ANSWER, (0, 60_000)) == [b"", b""]


async def answered(run: Run, redis: Redis) -> None:
    assert await run("answered", ANSWER, (1,)) == b""
    await answer(run, redis)
    assert [await run("answered", ANSWER, (last,)) for last in (0, 1, 0)] == [b"answered", b"late", b"late"]
    assert await run("collect", ANSWER, (0, 60_000)) == [b"", b""], "it goes another way by now"


async def admit(run: Run, redis: Redis) -> None:
    def args(connection: str, policy: str) -> tuple[object, ...]:
        return "42", connection, f"{connection[1:]} r1 phone", 2, policy

    keys = (*SEAT, NAMES.asks("user:42"))
    assert await run("admit", keys, args("c1", "refuse")) == [1, 0, 1, 0]
    assert await run("admit", keys, args("c2", "refuse")) == [1, 1, 0, 0]
    assert await run("admit", keys, args("c3", "refuse")) == [0, 2, 0, 0]
    await redis.zadd(NAMES.asks("user:42"), {"q1": 2**52})
    assert await run("admit", keys, args("c3", "evict")) == [1, 2, 0, 1, b"c1"]
    assert await run("admit", keys, args("c4", "single")) == [1, 2, 0, 1, b"c2", b"c3"]
    assert await redis.smembers(SEAT[1]) == {b"42"}
    await redis.delete(SEAT[0])
    await redis.zadd(DEPARTURES[0], {"user:42": 1})
    await redis.hset(DEPARTURES[1], "user:42", "facts")
    assert await run("admit", keys, args("c5", "refuse")) == [1, 0, 0, 1], "back within the grace"
    assert not await redis.exists(*DEPARTURES)


async def release(run: Run, redis: Redis) -> None:
    keys = (*SEAT, NAMES.asks("user:42"))
    await run("admit", keys, ("42", "c1", "1 r1 phone", 2, "keep"))
    await run("admit", keys, ("42", "c2", "1 r1 phone", 2, "keep"))
    await redis.zadd(LAST_SEEN, {"long ago": 1})
    left = [
        await run("release", (*SEAT, LAST_SEEN), ("42", connection, 5000, "facts", 60_000))
        for connection in ("c1", "c2", "c2")
    ]
    assert left == [[1, 1], [1, 0], [0, 0]]
    assert not await redis.exists(*SEAT[:2])
    ((user, seen),) = await redis.zrange(LAST_SEEN, 0, -1, withscores=True)
    assert (user, await redis.pttl(LAST_SEEN) > 0) == (b"42", True)
    assert await redis.zscore(DEPARTURES[0], "user:42") == seen + 5000
    assert await redis.hgetall(DEPARTURES[1]) == {b"user:42": f"{seen:.0f} facts".encode()}


async def appear(run: Run, redis: Redis) -> None:
    def args(connection: str) -> tuple[object, ...]:
        return connection, "42", "session:s", "who"

    assert [await run("appear", IN_SESSION, args(c)) for c in ("c1", "c1", "c2")] == [1, 0, 0]
    assert await redis.hgetall(IN_SESSION[1]) == {b"42": b"2"}
    assert await redis.smembers(IN_SESSION[4]) == {b"s"}
    await redis.delete(*IN_SESSION[:2])
    await redis.zadd(IN_SESSION[2], {"session:s 42": 1})
    await redis.hset(IN_SESSION[3], "session:s 42", "facts")
    assert await run("appear", IN_SESSION, args("c3")) == 0, "back within the grace"
    assert not await redis.exists(*IN_SESSION[2:4])


async def vanish(run: Run, redis: Redis) -> None:
    def args(connection: str, envelope: str) -> tuple[object, ...]:
        return connection, "42", "session:s", 5000, "facts", NAMES.pubsub("session:s"), envelope

    for connection in ("c1", "c2"):
        await run("appear", IN_SESSION, (connection, "42", "session:s", "who"))
    assert [await run("vanish", IN_SESSION, args(c, "left")) for c in ("c1", "c1")] == [0, 0]
    assert await redis.smembers(IN_SESSION[4]) == {b"s"}
    assert await run("vanish", IN_SESSION, args("c2", "left")) == 1
    assert not await redis.exists(*IN_SESSION)
    await run("appear", IN_SESSION, ("c3", "42", "session:s", "who"))
    assert await run("vanish", IN_SESSION, args("c3", "")) == 0
    due = await redis.zscore(IN_SESSION[2], "session:s 42")
    assert await redis.hgetall(IN_SESSION[3]) == {b"session:s 42": f"{due - 5000:.0f} facts".encode()}


async def departing(run: Run, redis: Redis) -> None:
    assert (await run("departing", DEPARTURES, (2,)))[1:] == [-1]
    await redis.zadd(DEPARTURES[0], {"user:1": 1, "user:2": 2, "user:3": 3, "user:4": 2**52})
    await redis.hset(DEPARTURES[1], "user:1", "facts")
    now, *two = await run("departing", DEPARTURES, (2,))
    assert two == [0, b"user:1", b"1", b"facts", b"user:2", b"2", b""]
    later, wait, *_ = await run("departing", DEPARTURES, (3,))
    assert later + wait == 2**52 and later >= now


async def depart(run: Run, redis: Redis) -> None:
    await redis.zadd(DEPARTURES[0], {"user:42": 7, "session:s 42": 7})
    await redis.hset(DEPARTURES[1], mapping={"user:42": "facts", "session:s 42": "facts"})
    channel = NAMES.pubsub("session:s")
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        await pubsub.get_message(timeout=5)
        taken = [await run("depart", DEPARTURES, ("session:s 42", due, channel, "left", 0)) for due in (6, 7, 7)]
        heard = await pubsub.get_message(timeout=5)
        assert await pubsub.get_message() is None
    assert (taken, heard and heard["data"]) == ([0, 1, 0], b"left")
    assert [await run("depart", DEPARTURES, ("user:42", 7, "", "", 0)) for _ in range(2)] == [1, 0]
    ((who, due),) = await redis.zrange(DEPARTURES[0], 0, -1, withscores=True)
    assert (who, await redis.hgetall(DEPARTURES[1])) == (b"!user:42", {b"!user:42": b"facts"})
    assert await run("depart", DEPARTURES, ("!user:42", due, "", "", 60_000)) == 1
    assert await redis.zscore(DEPARTURES[0], "!user:42") > due
    assert await redis.hgetall(DEPARTURES[1]) == {b"!user:42": b"facts"}


REMINDERS = [NAMES.reminders]


async def remind(run: Run, redis: Redis) -> None:
    await run("remind", REMINDERS, (5000, 17, 18))
    first = await redis.zmscore(REMINDERS[0], ["17", "18"])
    await run("remind", REMINDERS, (9000, 17))
    await redis.zadd(REMINDERS[0], {"18": 1000.5})
    await run("remind", REMINDERS, (9000, 18))
    assert first[0] == first[1]
    assert await redis.zmscore(REMINDERS[0], ["17", "18"]) == [first[0], 1000]


async def status(run: Run, redis: Redis) -> None:
    people, channel = [NAMES.people("session:s")], NAMES.pubsub("session:s")
    await redis.hset(people[0], mapping={"1": 1, "2": 1})
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        await pubsub.get_message(timeout=5)
        assert [await run("status", people, (limit, channel, "news")) for limit in (1, 2)] == [0, 1]


async def renew(run: Run, redis: Redis) -> None:
    assert [await run("renew", LEASE, ("r1", 10_000)) for _ in range(2)] == [0, 1]
    await redis.zrem(NAMES.replicas, "r1")
    await redis.zadd(NAMES.sweeping, {"r1": 2**52})
    assert await run("renew", LEASE, ("r1", 10_000)) == -1
    await redis.zrem(NAMES.sweeping, "r1")
    await redis.hset(LEASE[2], "swept", 1)
    await redis.expire(LEASE[2], 60)
    assert [await run("renew", LEASE, ("r1", 10_000)) for _ in range(2)] == [2, 1]
    assert (await redis.hkeys(LEASE[2]), await redis.ttl(LEASE[2])) == ([b"since"], -1)


async def claim(run: Run, redis: Redis) -> None:
    await redis.zadd(NAMES.replicas, {"r1": 2**52, "dead": 1})
    assert await run("claim", LEASE, (10_000, "r1", 1000)) is None, "it has just come to live itself"
    await redis.hset(NAMES.replica("r1"), "since", 1)
    assert await run("claim", LEASE, (10_000, "r1", 1000)) == b"dead"
    assert await run("claim", LEASE, (10_000, "r1", 1000)) is None


STATS = (*NAMES.stats_of("r1"), NAMES.stats_known, NAMES.stats_lost, NAMES.stats_turn)
FOLDED = (*STATS[:2], NAMES.stats, *STATS[2:4])
SUMS = (NAMES.stats, NAMES.stats_known, NAMES.stats_lost, NAMES.replicas)


async def report(run: Run, redis: Redis) -> None:
    args = ("r1", 60, 5000, "errors", 3, "@users", 2)
    assert [await run("report", STATS, args) for _ in range(2)] == [[1, 1], [0, 1]]
    assert await run("report", (*NAMES.stats_of("r2"), *STATS[2:]), ("r2", 60, 5000, "errors", 1)) == [1, 0]
    assert await redis.hgetall(STATS[0]) == {b"errors": b"3", b"@users": b"2"}
    assert await redis.zrange(NAMES.stats_known, 0, -1) == [b"r1", b"r2"]
    assert 50 < await redis.ttl(STATS[0]) <= 60


async def inherit(run: Run, redis: Redis) -> None:
    args = ("r1", 60, 5000, 1, 60)
    assert await run("inherit", FOLDED, args) == 0
    counted = {"errors": 3, "connections_opened": 5, "disconnections": 4, "@users": 2, "zero": 0}
    await redis.hset(STATS[0], mapping=counted)
    assert [await run("inherit", FOLDED, args) for _ in range(2)] == [3, 0]
    totals = {b"errors": b"3", b"connections_opened": b"5", b"disconnections": b"5"}
    assert await redis.hgetall(NAMES.stats) == await redis.hgetall(STATS[1]) == totals
    assert await redis.zrange(NAMES.stats_lost, 0, -1) == [b"r1"]
    assert min(await redis.ttl(STATS[0]), await redis.ttl(STATS[1])) > 50
    await run("report", STATS, ("r1", 60, 5000, "errors", 4))
    assert (await redis.zcard(NAMES.stats_lost), await redis.zcard(NAMES.stats_known)) == (0, 1)
    assert await run("inherit", FOLDED, ("r1", 60, 5000, 0, 60)) == 1
    assert await redis.hget(NAMES.stats, "errors") == b"4"
    assert not await redis.exists(NAMES.stats_lost, NAMES.stats_known), "it ended as it should"


async def sums(run: Run, redis: Redis) -> None:
    begin, end = NAMES.stats_of(" ")[1].split(" ")
    assert (await run("sums", SUMS, (begin, end, 5000)))[1:] == [[]]
    await redis.zadd(NAMES.replicas, {"r1": 2**52, "ended": 1})
    assert (await run("sums", SUMS, (begin, end, 5000)))[2:] == [[b"r1", 2**52, [], None]], "it has yet to report"
    await run("report", STATS, ("r1", 60, 5000, "errors", 3))
    now, totals, said = await run("sums", SUMS, (begin, end, 5000))
    assert (now > 1_000_000_000_000, totals, said) == (True, [], [b"r1", 2**52, [b"errors", b"3"], []])
    await run("inherit", FOLDED, ("r1", 60, 5000, 1, 60))
    assert (await run("sums", SUMS, (begin, end, 5000)))[1:] == [
        [b"errors", b"3"],
        [b"r1", 2**52, [b"errors", b"3"], None],
    ]
    await redis.delete(NAMES.replicas)
    assert len(await run("sums", SUMS, (begin, end, 5000))) == 3
    assert len(await run("sums", SUMS, (begin, end, -1))) == 2, "it died long ago"


async def record(run: Run, redis: Redis) -> None:
    keys = (NAMES.stats_turn, NAMES.stats_history)
    assert await run("record", keys, ("r1", "sample", 10)) == 0
    await redis.set(NAMES.stats_turn, "r1")
    assert [await run("record", keys, (replica, "sample", 10)) for replica in ("r1", "r2")] == [1, 0]
    assert [entry for _, entry in await redis.xrange(NAMES.stats_history)] == [{b"sample": b"sample"}]


STATE = (NAMES.instance_state("i"), NAMES.instance_changes("i"))


async def patch(run: Run, redis: Redis) -> None:
    keys = (*NAMES.of_durable("instance:i"), *STATE)

    async def change(message_id: str, document: bytes = b"", base: object = "") -> Any:
        args = (NAMES.pubsub("instance:i"), 100, 60, 10, 60, "epoch", message_id, b"head")
        return await run("patch", keys, (*args, b'{"id":1', document, base, 60, 2, 1000))

    assert await change("c-1") == [1, b"epoch.0", 0, 0, 1, 0]
    assert await change("c-1") == [1, b"epoch.0", 1, 0, 1, 0]
    assert await change("c-2", base=1) == [2, b"epoch.0", 0, 0, 2, 1], "two patches are to be folded"
    patches = [b'{"id":1,"base_version":%d,"version":%d}' % (version - 1, version) for version in (1, 2)]
    assert await change("c-3", base=0) == [b"conflict", 2, patches]
    assert await change("c-3", base=7) == [b"conflict", 2, []]
    await redis.hset(STATE[0], "too_large", 1)
    assert await change("c-3") == [b"too_large", 2]
    assert await change("c-3", document=b'{"a":1}') == [3, b"epoch.0", 0, 0, 3, 0]
    kept = await redis.hgetall(STATE[0])
    assert kept == {
        b"run": b"epoch",
        b"document": b'{"a":1}',
        b"folded": b"3",
        b"version": b"3",
        b"bytes": b"0",
    }
    log = await redis.xrange(keys[0])
    assert log[0][1][b"d"] == b"head\xc6" + len(patches[0]).to_bytes(4, "big") + patches[0]


async def fold(run: Run, redis: Redis) -> None:
    before = {"run": "r", "document": "{}", "folded": 0, "version": 3, "bytes": 30, "1": "x", "2": "y", "3": "z"}
    await redis.hset(STATE[0], mapping=before)
    assert await run("fold", STATE[:1], ("other", 0, 2, 20, b"new")) == 0
    assert await run("fold", STATE[:1], ("r", 1, 2, 20, b"new")) == 0
    assert await run("fold", STATE[:1], ("r", 0, 2, 20, b"new")) == 1
    kept = await redis.hgetall(STATE[0])
    assert kept == {
        b"run": b"r",
        b"document": b"new",
        b"folded": b"2",
        b"version": b"3",
        b"bytes": b"10",
        b"3": b"z",
    }
    assert await run("fold", STATE[:1], ("r", 2, 3, 10, b"")) == 1
    assert await redis.hget(STATE[0], "too_large") == b"1"


RECORD, AWAITED = NAMES.pubsub("user:42") + ":record", NAMES.pubsub("user:42") + ":awaited"


async def expect(run: Run, redis: Redis) -> None:
    state, by, left = await run("expect", [RECORD, AWAITED], ("reply", 60_000, 60_000, "m-1"))
    assert (state, by) == (b"pending", b"") and 59_000 < left <= 60_000
    assert await redis.zrange(AWAITED, 0, -1) == [b"m-1"]


async def outcome(run: Run, redis: Redis) -> None:
    assert await run("outcome", [RECORD], ()) == [b"", b"", 0]
    await redis.hset(RECORD, mapping={"state": "pending", "deadline": 1})
    assert await run("outcome", [RECORD], ()) == [b"expired", b"", 0]


async def acknowledge(run: Run, redis: Redis) -> None:
    assert await run("acknowledge", [RECORD, AWAITED], ("me", "m-1")) == [b"unknown", b""]
    await expect(run, redis)
    first, again = [await run("acknowledge", [RECORD, AWAITED], ("me", "m-1")) for _ in range(2)]
    assert (first, again) == ([b"delivered", b"reply"], [b"duplicate", b""])
    assert await run("outcome", [RECORD], ()) == [b"delivered", b"me", 0]


async def awaited(run: Run, redis: Redis) -> None:
    await publish(run, redis)
    keys = (AWAITED, *DURABLE[2:1:-1], DURABLE[1], DURABLE[3])
    assert await run("awaited", keys, (9, "", 10)) == []
    await redis.zadd(AWAITED, {"m-2": 2**52})
    assert await run("awaited", keys, (2, "epoch.term", 10)) == [b"m-2"]
    assert await run("awaited", keys, (2, "epoch.before", 10)) == []


async def cursor(run: Run, redis: Redis) -> None:
    keys = (NAMES.pubsub("user:42") + ":cursor", DURABLE[0], DURABLE[1], DURABLE[3])
    assert await run("cursor", keys, ("phone", "", 1, "-", "move", 60, 2)) is None
    await publish(run, redis)
    assert await run("cursor", keys, ("phone", "", 1, "-", "move", 60, 2)) == b"epoch.term 1 m-1"
    assert await run("cursor", keys, ("phone", "epoch.term", 2, "m-2", "move", 60, 2)) == b"epoch.term 2 m-2"
    assert await run("cursor", keys, ("phone", "epoch.term", 1, "m-1", "move", 60, 2)) == b"epoch.term 2 m-2"
    for device in ("laptop", "watch"):
        await run("cursor", keys, (device, "", 1, "-", "begin", 60, 2))
    assert await redis.hlen(keys[0]) == 2


async def due(run: Run, redis: Redis) -> None:
    await redis.zadd("due", {"first": 1, "second": 2, "later": 2**52})
    first, lease = await run("due", ["due"], (1000, 1))
    assert (first, await redis.zscore("due", "first")) == (b"first", float(lease))
    assert (await run("due", ["due"], (1000, 10)))[::2] == [b"second"]
    assert await run("due", ["due"], (1000, 10)) == []


async def done(run: Run, redis: Redis) -> None:
    await redis.zadd("due", {"first": 1, "second": 2})
    first, lease, second, same = await run("due", ["due"], (1000, 2))
    assert await run("done", ["due"], (first, lease, "")) == 1
    assert await run("done", ["due"], (second, same, 7)) == 1
    assert await run("done", ["due"], (second, same, "")) == 0, "it is due again, which is another deadline"
    assert await redis.zrange("due", 0, -1, withscores=True) == [(b"second", 7)]


ASKED = (NAMES.ask("q1"), NAMES.asks_due("q1"))


async def ask(run: Run, redis: Redis) -> None:
    def args(secret: str, waiter: str) -> tuple[object, ...]:
        return "q1", secret, waiter, 60_000, 60_000, '{"n":1}', "user:42 role:ops", 1

    first, again = [await run("ask", ASKED, args(*each)) for each in (("one", "w1"), ("two", "w2"))]
    assert first[:5] == again[:5] == [b"pending", b"one", b'{"n":1}', b"user:42 role:ops", None]
    assert again[10].split() == [b"w1", b"w2"]
    assert int(first[6]) - int(first[5]) == 60_000
    assert await redis.zcard(ASKED[1]) == 1

    await redis.hset(ASKED[0], mapping={"deadline": 1})
    assert (await run("ask", ASKED, args("three", "")))[:2] == [b"timed_out", b"one"], "its end has yet to be told"
    await redis.hset(ASKED[0], "told", 1)
    anew = await run("ask", ASKED, args("three", ""))
    assert (anew[:2], anew[13]) == ([b"pending", b"three"], b"one timed_out")


async def settle(run: Run, redis: Redis) -> None:
    def args(
        outcome: str, secret: str = "", by: str = "", response: str = "", wholly: int = 0, unchecked: int = 0
    ) -> tuple[object, ...]:
        return "q1", secret, outcome, by, response, 60_000, wholly, f"{outcome} {by} {response}", unchecked

    assert (await run("settle", ASKED, args("timed_out")))[0] == b"unknown"
    await ask(run, redis)
    assert (await run("settle", ASKED, args("timed_out")))[0:4:3] == [b"pending", b""]
    assert (await run("settle", ASKED, args("timed_out", wholly=1)))[3] == b'{"n":1}'
    assert (await run("settle", ASKED, args("answered", "one", "user:42", "yes")))[0] == b"unknown"
    assert (await run("settle", ASKED, args("answered", "three", "user:4 role:op", "yes")))[0] == b"forbidden"
    assert (await run("settle", ASKED, args("answered", "three", "user:42", "", unchecked=1)))[0] == b"unchecked"
    won, again = [await run("settle", ASKED, args("answered", "three", "user:4 role:ops", "yes")) for _ in range(2)]
    assert again[0] == b"accepted", "it is the same attempt"
    assert (won[:2], won[3], won[5]) == ([b"accepted", b"answered"], b'{"n":1}', b"yes")
    assert (await run("settle", ASKED, args("answered", "three", "role:ops", "yes")))[0] == b"duplicate"
    assert (await run("settle", ASKED, args("answered", "three", "user:42", "no")))[0] == b"already_answered"
    assert (await run("settle", ASKED, args("cancelled")))[0] == b"already_answered"

    await redis.hset(ASKED[0], mapping={"state": "pending", "plain": 0})
    assert (await run("settle", ASKED, args("answered", "three", "user:42", "no", 1, 1)))[0] == b"unchecked"
    await redis.hset(ASKED[0], "deadline", 1)
    late = await run("settle", ASKED, args("answered", "three", "user:42", "yes"))
    assert (late[:2], late[13]) == ([b"expired", b"timed_out"], b"2"), "and one came late before"


async def progress(run: Run, redis: Redis) -> None:
    async def written(*args: object) -> object:
        return await run("progress", ASKED, ("q1", *args))

    await ask(run, redis)
    assert await written("other", "said", 0, "", 9, "5 6") == [0, b"", b""]
    assert await written("three", "said", 0, "", 9, "5 6") == [1, b"", b""]
    assert await redis.zscore(ASKED[1], "q1") == 9
    assert await written("three", "withdrawn", 0, "", "", "") == [0, b"5 6", b""]
    widened = [await written("three", "widened", 0, "user:7", 8, "") for _ in range(2)]
    assert widened == [[1, b"5 6", b""], [0, b"", b""]]
    assert await redis.hmget(ASKED[0], "to", "said", "widened") == [b"user:42 role:ops user:7", None, b"1"]
    await redis.hset(ASKED[0], "state", "answered")
    assert await written("three", "told", 0, "", "", "7 8 9") == [1, b"", b""]
    assert not await redis.exists(ASKED[1])
    assert await written("three", "said", 0, "", 9, "5 6 10") == [1, b"", b"7 8 9"]
    assert not await redis.exists(ASKED[1]), "nothing is left to do for what is over"
    await redis.hset(ASKED[0], "state", "pending")
    await redis.hdel(ASKED[0], "said")
    assert (await written("three", "withdrawn", 0, "", "", ""))[0] == 1  # type: ignore[index]
    assert not await redis.exists(ASKED[0])


async def enlist(run: Run, redis: Redis) -> None:
    key, state = NAMES.asks("task:42"), NAMES.task("42")
    await redis.zadd(key, {"forgotten": 1})
    await redis.hset(state, "status", '"running"')
    assert [await run("enlist", [key, state], (id, 60_000, 2)) for id in ("q1", "q2", "q3", "q1")] == [1, 1, 0, 1]
    assert sorted(await redis.zrange(key, 0, -1)) == [b"q1", b"q2"]
    assert 60_000 < await redis.pttl(key) <= 120_000
    await redis.hset(state, "status", '"cancelled"')
    assert await run("enlist", [key, state], ("q1", 60_000, 2)) == -1


TASK = (*NAMES.of_durable("task:t"), NAMES.task("t"), NAMES.tasks_due("t"), NAMES.tasks_going_on("t"))
HEAD = b'{"type":"x"'


def told(message_id: str) -> tuple[object, ...]:
    """The arguments that all scripts of tasks begin with."""
    return NAMES.pubsub("task:t"), 100, 60, 10, 60, "epoch", message_id, Envelope(message_id, "x", b"").head(), HEAD


def updated(message_id: str, *fields: str, owner: str = "", patience: object = "", ephemeral: int = 0) -> list[object]:
    return [*told(message_id), "t", owner, "", patience, ephemeral, 64, packb(list(fields))]


async def task(run: Run, redis: Redis) -> None:
    await redis.set(TASK[3], "term")
    first = await run("task", TASK, updated("m-1", "progress", "5", owner="ann", patience=1000))
    again = await run("task", TASK, updated("m-1", "progress", "5"))
    fleeting = await run("task", TASK, updated("m-2", "progress", "6", ephemeral=1))
    assert (first, again) == ([1, b"epoch.term", 0, 0, 1], [1, b"epoch.term", 1, 0, 1])
    assert (fleeting, await run("task", TASK, updated("m-2", ephemeral=1))) == ([0, b"", 0, 0, 2], [0, b"", 1, 0, 2])
    state = await redis.hgetall(TASK[4])
    assert (state[b"status"], state[b"progress"], state[b"@owner"]) == (b'"running"', b"6", b"ann")
    assert await redis.zscore(TASK[5], "t") == int(state[b"@at"]) + 1000
    assert await redis.zscore(TASK[6], "t") == int(state[b"@at"])
    assert await run("task", TASK, updated("m-3", owner="ben")) == [-1, b"owner", b'"running"']
    many = [word for number in range(60) for word in (f"f{number}", "1")]
    assert (await run("task", TASK, updated("m-4", *many)))[:2] == [-1, b"full"]
    assert (await run("task", TASK, updated("m-5", "status", '"failed"')))[4] == 3
    assert await run("task", TASK, updated("m-6", "status", '"failed"')) == [0, b"", 1, 0, 3]
    assert await run("task", TASK, updated("m-7", "progress", "7")) == [-1, b"ended", b'"failed"']
    assert not await redis.exists(TASK[5])
    assert await redis.ttl(TASK[4]) == 86400


async def cancel(run: Run, redis: Redis) -> None:
    def by(user: str, message_id: str) -> tuple[object, ...]:
        return (*told(message_id), "t", f'"{user}"')

    assert await run("cancel", TASK, by("ann", "m-0")) == [-1, b"unknown", b""]
    await run("task", TASK, updated("m-1"))
    assert await run("cancel", TASK, by("ann", "m-2")) == [2, b"epoch.0", 0, 0, 2]
    assert await run("cancel", TASK, by("ann", "m-2")) == [2, b"epoch.0", 1, 0, 2]
    assert await run("cancel", TASK, by("ben", "m-3")) == [0, b"", 1, 0, 2]
    assert await redis.hmget(TASK[4], "status", "cancelled_by") == [b'"cancelled"', b'"ann"']
    await redis.hset(TASK[4], "status", '"completed"')
    assert await run("cancel", TASK, by("ann", "m-4")) == [-1, b"ended", b'"completed"']


async def own(run: Run, redis: Redis) -> None:
    keys = (*DURABLE, NAMES.tasks("42"))

    def args(task_id: str) -> tuple[object, ...]:
        return NAMES.pubsub("user:42"), 100, 60, 10, 60, "epoch", "m", b"order", task_id, 2, 60

    assert [await run("own", keys, args(task_id)) for task_id in ("a", "a")] == [[0, b"", 0, 0], [0, b"", 1, 0]]
    for task_id in ("b", "c"):
        await run("own", keys, args(task_id))
    assert await redis.zcard(keys[4]) == 2
    assert await redis.ttl(keys[4]) == 60


async def tell(run: Run, redis: Redis) -> None:
    assert await run("tell", [TASK[4]], [HEAD]) == b""
    await run("task", TASK, updated("m-1", "zeal", "1", "apt", "2", "step", '"s"', "progress", "5", owner="ann"))
    await redis.hset(TASK[4], mapping={"@at": 1709210096789, "@stalled": 4107542399999})
    assert await run("tell", [TASK[4]], [HEAD]) == (
        b'{"type":"x","status":"running","progress":5,"step":"s","apt":2,"zeal":1,"owner":"ann",'
        b'"stalled_since":"2100-02-28T23:59:59.999Z","version":1,'
        b'"updated_at":"2024-02-29T12:34:56.789Z","timestamp":"2024-02-29T12:34:56.789Z"}'
    )


async def stalled(run: Run, redis: Redis) -> None:
    await run("task", TASK, updated("m-1"))
    at = int(await redis.hget(TASK[4], "@at"))
    assert await run("stalled", TASK[:5], (*told("m-2"), at - 1)) == [0, b"", 1, 0, 1], "it has said something since"
    assert await run("stalled", TASK[:5], (*told("m-3"), at)) == [2, b"epoch.0", 0, 0, 1]
    assert await run("stalled", TASK[:5], (*told("m-4"), at)) == [0, b"", 1, 0, 1]


async def find(run: Run, redis: Redis) -> None:
    log, _, seen, _ = DURABLE
    for offset in range(1, 101):
        await redis.xadd(log, {"m": f"m-{offset}", "d": f"envelope {offset}"}, id=f"{offset}-0")
    await redis.zadd(seen, {"m-100": 100, "gone": 7, "trimmed": 101})
    found = [await run("find", (log, seen), (id, 1000)) for id in ("m-100", "m-99", "m-1", "gone", "trimmed", "never")]
    assert found == [b"envelope 100", b"envelope 99", b"envelope 1", None, None, None]
    assert await run("find", (log, seen), ("m-1", 64)) is None, "looked for among the latest only"

    async def looks() -> int:
        return int((await redis.info("commandstats"))["cmdstat_xrevrange"]["calls"])

    await redis.zadd(seen, {f"m-{offset}": offset for offset in range(1, 101)})
    before = await looks()
    assert await run("find", (log, seen), ("never", 1000)) is None
    assert await looks() == before, "not looked for where the window knows all that there are"


async def alert(run: Run, redis: Redis) -> None:
    keys = (NAMES.alerts, NAMES.alerts_past, *NAMES.deliveries)

    def args(was: str, now: str, at: int, over: str = "", delivery: str = "") -> tuple[object, ...]:
        return "replica_lost r1", was, now, at, over, 2, 60, delivery, delivery and "{}"

    assert await run("alert", keys, args("", "one", 1)) == 1
    assert await run("alert", keys, args("", "other", 1)) == 0, "somebody else was quicker"
    assert await run("alert", keys, args("one", "two", 2, delivery="a")) == 1
    assert await redis.hgetall(keys[0]) == {b"replica_lost r1": b"two"}
    for at, was in ((3, "two"), (4, ""), (5, "")):
        assert await run("alert", keys, args(was, "", at, over=f"over {at}")) == 1
    assert (await redis.exists(keys[0]), await redis.zrange(keys[1], 0, -1)) == (0, [b"over 4", b"over 5"])
    assert await redis.zrange(keys[2], 0, -1, withscores=True) == [(b"a", 2.0)]
    assert await redis.hgetall(keys[3]) == {b"a": b"{}"}
    assert [await redis.ttl(key) for key in keys[1:]] == [60, 60, 60]


SCENES = {
    scene.__name__: scene
    for scene in (
        publish,
        latest,
        read,
        past,
        term,
        forget,
        owed,
        answer,
        collect,
        answered,
        admit,
        release,
        appear,
        vanish,
        departing,
        depart,
        remind,
        status,
        find,
        renew,
        claim,
        report,
        inherit,
        sums,
        record,
        expect,
        outcome,
        acknowledge,
        awaited,
        cursor,
        due,
        done,
        ask,
        settle,
        progress,
        enlist,
        task,
        cancel,
        own,
        tell,
        stalled,
        patch,
        fold,
        alert,
    )
}


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    binary = valkey_binary() if request.param == "valkey" else debian_binary()
    if binary is None:
        pytest.skip("needs Debian's redis-server")
    with Server(binary=binary) as server:
        yield server


@pytest.fixture
async def empty(server: Server) -> AsyncIterator[Redis]:
    redis = Redis.from_url(server.url)
    await redis.flushall()
    yield redis
    await redis.aclose()


def test_every_script_has_a_scene() -> None:
    assert set(SCENES) == set(PACKAGES)


@pytest.mark.parametrize("is_modern", [True, False], ids=["modern", "old"])
@pytest.mark.parametrize("name", sorted(SCENES))
async def test_a_script_does_the_same_on_every_server(empty: Redis, name: str, is_modern: bool) -> None:
    async def run(script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return await empty.eval(load(script, PACKAGES[script]).text(is_modern).source, len(keys), *keys, *args)

    await SCENES[name](run, empty)
