"""Running scripts; whoever asks need not know what the server has loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import NoScriptError

from fairlead.redis.greeting import greeting_of
from fairlead.redis.outage import TooFewCopies
from fairlead.redis.scripts import Script

if TYPE_CHECKING:
    from redis import Redis as SyncRedis
    from redis.asyncio import Redis

Arguments = Sequence[str | bytes | int | float]

Call = tuple[Script, Sequence[str], Arguments]
"""A script with its keys and arguments."""


class Sure(NamedTuple):
    """How many replicas of Redis must confirm what scripts write, and how long they may take."""

    replicas: int
    wait_ms: int


async def run(redis: Redis, script: Script, keys: Sequence[str], args: Arguments = ()) -> Any:
    """What *script* returns."""
    return (await run_all(redis, [(script, keys, args)]))[0]


async def run_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """
    What each of *calls* returns, in one round trip; not atomic, other commands may come between.

    When some are refused, the first error is raised, after all have been tried.
    """
    return _unless_refused(await try_all(redis, calls))


async def try_all(redis: Redis, calls: Sequence[Call], sure: Sure | None = None) -> list[Any]:
    """As `run_all`; what is refused has the error for its reply, as all has that too few replicas confirm (*sure*)."""
    replies = await _evaluate(redis, calls, sure)
    missing = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if missing:
        text = greeting_of(redis).text
        for script in {calls[i][0] for i in missing}:
            await redis.script_load(text(script).source)
        for i, reply in zip(missing, await _evaluate(redis, [calls[i] for i in missing], sure), strict=True):
            replies[i] = reply
    return replies


def run_sync(redis: SyncRedis, script: Script, keys: Sequence[str], args: Arguments = ()) -> Any:
    """As `run`, for the blocking client."""
    return _unless_refused([try_sync(redis, (script, keys, args))])[0]


def try_sync(redis: SyncRedis, call: Call, sure: Sure | None = None) -> Any:
    """As `try_all`, of one call, for the blocking client."""
    reply = _evaluate_sync(redis, call, sure)
    if isinstance(reply, NoScriptError):
        redis.script_load(greeting_of(redis).text(call[0]).source)
        reply = _evaluate_sync(redis, call, sure)
    return reply


async def _evaluate(redis: Redis, calls: Sequence[Call], sure: Sure | None) -> list[Any]:
    text = greeting_of(redis).text
    async with redis.pipeline(transaction=False) as pipeline:
        for script, keys, args in calls:
            pipeline.evalsha(text(script).sha, len(keys), *keys, *args)
        if sure is None:
            return await pipeline.execute(raise_on_error=False)
        pipeline.execute_command("WAIT", *sure)
        return _confirmed(await pipeline.execute(raise_on_error=False), sure)


def _evaluate_sync(redis: SyncRedis, call: Call, sure: Sure | None) -> Any:
    script, keys, args = call
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.evalsha(greeting_of(redis).text(script).sha, len(keys), *keys, *args)
        if sure is None:
            return pipeline.execute(raise_on_error=False)[0]
        pipeline.wait(*sure)
        return _confirmed(pipeline.execute(raise_on_error=False), sure)[0]


def _confirmed(replies: list[Any], sure: Sure) -> list[Any]:
    """*replies* without the last one, which says how many replicas have what was written."""
    *said, copies = replies
    if isinstance(copies, int):
        lacking = TooFewCopies(f"{copies} of {sure.replicas} replicas confirmed")
        return said if copies >= sure.replicas else [one if isinstance(one, Exception) else lacking for one in said]
    return [one if isinstance(one, Exception) else copies for one in said]


def _unless_refused(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
