"""Running scripts; whoever asks need not know what the server has loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from fairlead.redis.greeting import greeting_of
from fairlead.redis.scripts import Script

if TYPE_CHECKING:
    from redis import Redis as SyncRedis
    from redis.asyncio import Redis

Arguments = Sequence[str | bytes | int | float]

Call = tuple[Script, Sequence[str], Arguments]
"""A script with its keys and arguments."""


async def run(redis: Redis, script: Script, keys: Sequence[str], args: Arguments = ()) -> Any:
    """What *script* returns."""
    return (await run_all(redis, [(script, keys, args)]))[0]


async def run_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """
    What each of *calls* returns, in one round trip; not atomic, other commands may come between.

    When some are refused, the first error is raised, after all have been tried.
    """
    return _unless_refused(await try_all(redis, calls))


async def try_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """As `run_all`; what is refused has the error for its reply."""
    replies = await _evaluate(redis, calls)
    missing = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if missing:
        text = greeting_of(redis).text
        for script in {calls[i][0] for i in missing}:
            await redis.script_load(text(script).source)
        for i, reply in zip(missing, await _evaluate(redis, [calls[i] for i in missing]), strict=True):
            replies[i] = reply
    return replies


def run_sync(redis: SyncRedis, script: Script, keys: Sequence[str], args: Arguments = ()) -> Any:
    """As `run`, for the blocking client."""
    try:
        return redis.evalsha(greeting_of(redis).text(script).sha, len(keys), *keys, *args)
    except NoScriptError:
        return redis.eval(greeting_of(redis).text(script).source, len(keys), *keys, *args)


async def _evaluate(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    text = greeting_of(redis).text
    async with redis.pipeline(transaction=False) as pipeline:
        for script, keys, args in calls:
            pipeline.evalsha(text(script).sha, len(keys), *keys, *args)
        return await pipeline.execute(raise_on_error=False)


def _unless_refused(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
