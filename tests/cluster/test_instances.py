"""Instances over three replica processes: whoever watches, from whenever, ends with the same document (ST-1)."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from websockets.exceptions import WebSocketException

import fairlead
from fairlead.backend.backend import Backend
from fairlead.errors import Conflict, Unavailable
from fairlead.names import Names
from fairlead.state.patches import apply, checked
from tests.support.client import client, connected
from tests.support.redis import Server
from tests.support.replica import Replica, replicas
from tests.support.watcher import Watcher

SCALE: Final = float(os.environ.get("FAIRLEAD_TEST_SCALE", "0.2"))
"""1 for 50 writers and 500 watchers, with ``-o timeout=300``; fewer do for a suite that is run often."""

WRITERS: Final = int(50 * SCALE)
WATCHERS: Final = int(500 * SCALE)
CHANGES: Final = 40
"""Patches of each writer: together enough for the document to be folded while they write."""

SECONDS: Final = 60 + 180 * SCALE

NAME: Final = "board"

HISTORY: Final = WRITERS * CHANGES
"""So that whoever comes back is given every patch: a shorter history ends in a snapshot, which would prove less."""

SETTINGS: Final = {
    "lease_seconds": 3,
    "rate_messages_per_second": 0,
    "rate_bytes_per_second": 0,
    "history_size": HISTORY,
}


# -- writers: each does all of its changes, whatever happens meanwhile -----------------------------------


async def write_blindly(backend: Backend, writer: int) -> None:
    """Without looking: what is its own, and now and then twice under the same id."""
    for change in range(CHANGES):
        patch = {f"writers.{writer}": change + 1, f"log.w{writer}.{change}": change}
        sent = await _until_taken(backend, patch, f"blind-{writer}-{change}")
        if change % 5 == 0:
            again = await _until_taken(backend, {"never": True}, f"blind-{writer}-{change}")
            assert again.version == sent.version


async def write_what_was_read(backend: Backend, writer: int, conflicts: list[int]) -> None:
    """On what it knows, which everybody else changes as well: a sum that is right only if nothing is overwritten."""
    read = await backend.get_instance(NAME)
    version, document = read.version, read.document
    done = 0
    while done < CHANGES:
        patch = {"sum": document.get("sum", 0) + 1, f"writers.{writer}": done + 1}
        try:
            sent = await _until_taken(backend, patch, f"sum-{writer}-{done}", base_version=version)
        except Conflict as conflict:
            conflicts.append(conflict.detail["version"])
            if conflict.detail["patches"] is None:
                read = await backend.get_instance(NAME)
                version, document = read.version, read.document
            for missed in conflict.detail["patches"] or ():
                document = apply(document, checked(missed["patch"], missed.get("unset", ())))
                version = missed["version"]
            continue
        version, document = sent.version, apply(document, checked(patch))
        done += 1


async def write_as_a_client(fleet: list[Replica], writer: int) -> None:
    """Over a socket, on whichever replica there is; an answer that was lost with its replica is asked for again."""
    change, openings = 0, 0
    while change < CHANGES:
        replica = fleet[(writer + openings) % len(fleet)]
        openings += 1
        try:
            async with client(replica.url, f"writer-{writer}") as socket:
                await socket.until("connection_established")
                while change < CHANGES:
                    patch = {f"writers.{writer}": change + 1}
                    answer = await socket.ask("patch", instance=NAME, patch=patch, patch_id=f"client-{writer}-{change}")
                    if answer["type"] == "reply":
                        change += 1
                    else:
                        assert answer["code"] == "unavailable", answer
                        await asyncio.sleep(0.1)
        except (OSError, TimeoutError, WebSocketException):
            await asyncio.sleep(0.1)


async def _until_taken(backend: Backend, patch: dict[str, Any], patch_id: str, **options: Any) -> fairlead.Sent:
    while True:
        try:
            return await backend.send_patch(NAME, patch, patch_id, **options)
        except Unavailable:
            await asyncio.sleep(0.1)


# -- what is seen ------------------------------------------------------------------------------------------


class Scene:
    """Writers and watchers of one instance, and what became of it."""

    def __init__(self, fleet: list[Replica], backends: list[Backend]) -> None:
        self.fleet = fleet
        self.backends = backends
        self.watchers = [Watcher(fleet, NAME, number) for number in range(WATCHERS)]
        self.conflicts: list[int] = []

    async def play(self, *meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Let everybody write; half of the watchers come while they do, and what happens *meanwhile* happens then."""
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as watching:
            tasks = [watching.create_task(self._watch(watcher)) for watcher in self.watchers]
            async with asyncio.TaskGroup() as writing:
                for writer in range(WRITERS):
                    writing.create_task(self._write(writer))
                for happen in meanwhile:
                    writing.create_task(self._halfway(happen))
            final = await self.backends[0].get_instance(NAME)
            await _all_have(self.watchers, final.version)
            for task in tasks:
                task.cancel()
        self._judge(final)

    async def _watch(self, watcher: Watcher) -> None:
        await asyncio.sleep(random.uniform(0, 2.0))
        await watcher.run()

    async def _write(self, writer: int) -> None:
        backend = self.backends[writer % len(self.backends)]
        match writer % 5:
            case 0:
                await write_as_a_client(self.fleet, writer)
            case 1 | 2:
                await write_what_was_read(backend, writer, self.conflicts)
            case _:
                await write_blindly(backend, writer)

    async def _halfway(self, happen: Callable[[], Awaitable[None]]) -> None:
        while (await self.backends[-1].get_instance(NAME)).version < WRITERS * CHANGES // 4:
            await asyncio.sleep(0.02)
        await happen()

    def _judge(self, final: fairlead.Instance) -> None:
        readers = [writer for writer in range(WRITERS) if writer % 5 in (1, 2)]
        assert final.version == WRITERS * CHANGES, "each change once, and nothing else"
        assert final.document["writers"] == {str(writer): CHANGES for writer in range(WRITERS)}
        assert final.document["sum"] == len(readers) * CHANGES
        assert "never" not in final.document
        assert self.conflicts
        for watcher in self.watchers:
            assert watcher.document == final.document

    @property
    def questions(self) -> int:
        """How often a watcher saw that something was missing."""
        return sum(watcher.questions for watcher in self.watchers)


@asynccontextmanager
async def scene(url: str, prefix: str) -> AsyncIterator[Scene]:
    async with (
        fairlead.connect(url, prefix=prefix, history_size=HISTORY, name="one") as one,
        fairlead.connect(url, prefix=prefix, history_size=HISTORY, name="other") as other,
    ):
        with replicas(3, url, prefix, **SETTINGS) as fleet:
            yield Scene(fleet, [one, other])


async def test_all_who_watch_from_whenever_end_with_the_same_document(
    redis_url: str, redis: Redis, names: Names
) -> None:
    async with scene(redis_url, names.prefix) as stage:
        await stage.play()

        assert stage.questions == 0, "no version was skipped"
        assert max(watcher.openings for watcher in stage.watchers) == 1
        assert sum(watcher.patches for watcher in stage.watchers) > WATCHERS
        assert int(await redis.hget(names.instance_state(NAME), "folded") or 0) > 0


async def test_a_replica_that_is_killed_meanwhile_takes_nothing_with_it(redis_url: str, prefix: str) -> None:
    async with scene(redis_url, prefix) as stage:

        async def kill() -> None:
            while not any(watcher.openings for watcher in stage.watchers[1 :: len(stage.fleet)]):
                await asyncio.sleep(0.02)
            stage.fleet[1].kill()

        await stage.play(kill)

        assert stage.questions == 0, "no version was skipped"
        assert max(watcher.openings for watcher in stage.watchers) > 1


async def test_redis_restarted_from_its_append_only_file_has_lost_no_version(prefix: str) -> None:
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        async with scene(server.url, prefix) as stage:

            async def restart() -> None:
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(0.5)
                await asyncio.to_thread(server.start)

            await stage.play(restart)

            assert stage.questions == 0, "no version was skipped"


async def test_redis_restarted_empty_begins_anew_and_all_who_watch_learn_it(prefix: str) -> None:
    with Server() as server:
        async with scene(server.url, prefix) as stage:
            watchers = stage.watchers[:10]
            async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as watching:
                tasks = [watching.create_task(watcher.run()) for watcher in watchers]
                for number in range(20):
                    await _until_taken(stage.backends[0], {f"before.{number}": number}, f"b-{number}")
                await _all_have(watchers, 20)
                await asyncio.to_thread(server.restart)
                for number in range(5):
                    await _until_taken(stage.backends[0], {f"after.{number}": number}, f"a-{number}")
                await _all_have(watchers, 5)
                for task in tasks:
                    task.cancel()

            assert all(watcher.document == {"after": {str(n): n for n in range(5)}} for watcher in watchers)


async def _all_have(watchers: list[Watcher], version: int) -> None:
    while behind := [watcher for watcher in watchers if watcher.version != version]:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            raise AssertionError(f"{len(behind)} never came to version {version}, such as {vars(behind[0])}") from None


async def test_who_watches_is_counted_over_all_replicas(redis_url: str, prefix: str) -> None:
    async with scene(redis_url, prefix) as stage:
        paths = [f"{replica.http.replace('http', 'ws')}/ws/instance/" for replica in stage.fleet]
        async with (
            connected(paths[0] + "a", "u1"),
            connected(paths[1] + "a", "u2"),
            connected(paths[1] + "b", "u3"),
        ):
            await _counts(stage.backends[0], {"a": 2, "b": 1})
            assert await stage.backends[1].list_active_instances() == ["a", "b"]
            stage.fleet[1].kill()
            await _counts(stage.backends[0], {"a": 1})
        await _counts(stage.backends[0], {})


async def _counts(backend: Backend, expected: dict[str, int]) -> None:
    async with asyncio.timeout(20):
        while await backend.instance_counts() != expected:
            await asyncio.sleep(0.1)
