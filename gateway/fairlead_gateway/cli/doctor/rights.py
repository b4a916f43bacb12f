"""What a replica's user must be allowed in Redis: each command is tried on a key of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis.exceptions import NoPermissionError, ResponseError

if TYPE_CHECKING:
    from fairlead.redis.shards import Shard

KEY: Final = "KEY"
"""Stands for the key, and for the channel."""

DATABASE: Final = "DATABASE"

_TRIED: Final = """
ping | info server | select DATABASE | client setname fairlead-doctor | time | wait 0 0 | cluster info | cluster slots
eval return 0 | evalsha 0000000000000000000000000000000000000000 0 | script load return | multi | exec
publish KEY - | spublish KEY -
set KEY - PX 100 | get KEY | getdel KEY | exists KEY | expire KEY 1 | pexpire KEY 1 | pexpireat KEY 0 | del KEY
hset KEY f 1 | hget KEY f | hmget KEY f | hlen KEY | hexists KEY f | hgetall KEY | hincrby KEY f 1 | hrandfield KEY
hdel KEY f | sadd KEY m | scard KEY | sismember KEY m | smembers KEY | srem KEY m
zadd KEY 1 m | zcard KEY | zscore KEY m | zrange KEY 0 -1 | zrangebyscore KEY 0 1 | zrem KEY m
zremrangebyrank KEY 0 0 | zremrangebyscore KEY 0 1
xadd KEY * f v | xlen KEY | xrange KEY - + | xrevrange KEY + - | xread STREAMS KEY 0 | xgroup create KEY g 0
xreadgroup GROUP g c STREAMS KEY > | xpending KEY g | xack KEY g 0-1 | xclaim KEY g c 0 0-1 | xinfo groups KEY
xinfo consumers KEY g | xgroup delconsumer KEY g c | xdel KEY 0-1 | del KEY
"""
"""Every command with words that harm nothing; what else than a missing right they end in does not matter."""

_WITH_SUBCOMMANDS: Final = ("client", "cluster", "script", "xgroup", "xinfo")

HEARD: Final = ("subscribe", "unsubscribe", "ssubscribe", "sunsubscribe")
"""Needed as well; whether they are allowed is seen when something is published and heard."""


def needed() -> frozenset[str]:
    """All of them, as rules of an ACL name them: ``xgroup|create``."""
    return frozenset(map(_name, _commands())) | frozenset(HEARD)


async def refused(shard: Shard, key: str) -> list[str]:
    """
    Those that the user of *shard* may not do; *key* lives there, and is gone afterwards.

    :raises RedisError: or ``OSError``: it cannot be reached.
    """
    database = str(shard.redis.connection_pool.connection_kwargs.get("db", 0))
    commands = _commands()
    words = {KEY: key, DATABASE: database}
    connection = await shard.connect()
    lacking: dict[str, None] = {}
    try:
        packed = connection.pack_commands([[words.get(word, word) for word in command] for command in commands])
        await connection.send_packed_command(packed, check_health=False)
        for command in commands:
            try:
                await connection.read_response()
            except NoPermissionError:
                lacking[_name(command)] = None
            except ResponseError:
                pass  # of another kind than the key is, or unknown to an older server
    finally:
        await connection.disconnect()
    return list(lacking)


def _commands() -> list[list[str]]:
    """``eval return 0`` has a script without words in it, so that it can be split like the others."""
    return [command.split() for line in _TRIED.strip().splitlines() for command in line.split(" | ")]


def _name(command: list[str]) -> str:
    return "|".join(command[:2]) if command[0] in _WITH_SUBCOMMANDS else command[0]
