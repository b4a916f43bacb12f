from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from itertools import takewhile

import pytest
import redis as sync_redis
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from fairlead.names import Names, partition_of
from fairlead.redis.calls import run, run_all, run_sync
from fairlead.redis.connect import open_sync
from fairlead.redis.greeting import greeting_of
from fairlead.redis.scripts import load

TOP_ONLY = ("", 0, "", 0)

SCRIPTS = sorted(
    path.name.removesuffix(".lua") for path in files("fairlead.redis.scripts").iterdir() if path.name.endswith(".lua")
)


@pytest.fixture
def keys(names: Names) -> list[str]:
    channel = "user:42"
    return [names.log(channel), names.meta(channel), names.seen(channel), names.term(partition_of(channel))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_names_every_key_and_argument_in_its_first_lines(name: str) -> None:
    source = load(name).modern.source
    head = "\n".join(takewhile(lambda line: line.startswith(("#!", "--")), source.splitlines()))

    for kind in ("KEYS", "ARGV"):
        used = {int(number) for number in re.findall(kind + r"\[(\d+)\]", source)}
        comment = re.search(rf"-- {kind}[^\n]*(\n--      [^\n]*)*", head)
        named = {int(number) for number in re.findall(r"(?<!\S)(\d+) \w", comment[0])} if comment else set()
        assert used == named


@pytest.mark.parametrize("name", SCRIPTS)
def test_old_servers_get_a_script_without_its_first_line(name: str) -> None:
    script = load(name)

    assert script.modern.source.startswith("#!lua")
    assert not script.old.source.startswith("#!")
    assert script.modern.source.endswith(script.old.source)
    assert script.text(is_modern=True).sha != script.text(is_modern=False).sha


async def test_a_script_that_the_server_has_lost_is_loaded_again(redis: Redis, keys: list[str]) -> None:
    first = await run(redis, load("read"), keys, (60, "e1", *TOP_ONLY))
    await redis.script_flush()

    again = await run(redis, load("read"), keys, (60, "e2", *TOP_ONLY))

    assert first == again


async def test_many_calls_lose_none_when_scripts_are_missing(redis: Redis, keys: list[str]) -> None:
    await redis.script_flush()

    replies = await run_all(redis, [(load("read"), keys, (60, f"e{i}", *TOP_ONLY)) for i in range(10)])

    assert len({reply[1] for reply in replies}) == 1


async def test_a_refused_call_raises_after_the_others_have_run(redis: Redis, keys: list[str], names: Names) -> None:
    wrong = names.meta("user:wrong")
    await redis.set(wrong, "not a hash")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await run_all(
            redis,
            [
                (load("read"), [keys[0], wrong, *keys[2:]], (60, "e", *TOP_ONLY)),
                (load("read"), keys, (60, "e", *TOP_ONLY)),
            ],
        )

    assert await redis.hget(keys[1], "e") == b"e"


async def test_the_blocking_client_loads_what_is_missing_too(
    redis_url: str, redis: Redis, names: Names, keys: list[str]
) -> None:
    client: sync_redis.Redis = open_sync(redis_url, names)
    await redis.script_flush()

    offset, epoch, last, *_ = await asyncio.to_thread(run_sync, client, load("read"), keys, (60, "e1", *TOP_ONLY))
    client.close()

    assert (offset, epoch.split(b".")[0], last) == (0, b"e1", b"")


async def test_whether_a_server_is_modern_is_found_out_on_connecting(redis: Redis) -> None:
    info = await redis.info("server")

    assert greeting_of(redis).is_modern is (int(str(info["redis_version"]).split(".")[0]) >= 7)
