"""Questions outlive whoever dies: one outcome, the same for all who see it, at most a second late (ASK-3, I4)."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from fairlead.questions import asks
from fairlead.questions.confirmation import UserConfirmation
from fairlead.questions.question import split
from fairlead.questions.response import Responder, Response
from fairlead.redis.calls import run
from fairlead_gateway.access.minting import Wish, mint
from tests.support.client import Client, Frame, connected
from tests.support.redis import Server
from tests.support.replica import SECRET, Replica, environment, replicas, token

STEP = {"step": "plan", "message": "Apply?", "status": "completed"}

LATE_SECONDS = 1.0
"""I4: how much later than its deadline the outcome of a question may be known."""

SCRIPT = """
import asyncio, json, sys, fairlead
url, prefix, how = sys.argv[1:]
async def main():
    async with fairlead.connect(url, prefix=prefix, name="p1") as fl:
        outcome = await fl.notify_user({step}, "anna", "t-1", 1, **json.loads(how))
        print(outcome.model_dump_json(), flush=True)
asyncio.run(main())
"""


class Process:
    """P1: a process of its own that asks, prints what it has come to, and ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def outcome(self, seconds: float = 10) -> UserConfirmation:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        return UserConfirmation.model_validate_json(line)

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def asking_process(redis_url: str, prefix: str, **how: Any) -> AsyncIterator[Process]:
    script = SCRIPT.replace("{step}", repr(STEP))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, redis_url, prefix, json.dumps(how)),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def asked(client: Client, seconds: float = 10) -> str:
    """The callback id of the next question that *client* is shown."""
    return str((await client.until("task_step_result", seconds))["callback_id"])


async def confirm(client: Client, callback_id: str, proceed: bool = True, **fields: Any) -> str:
    ack = await client.ask("confirm", callback_id=callback_id, proceed=proceed, **fields)
    assert ack["type"] == "confirm_ack", ack
    return str(ack["status"])


async def closed(client: Client, callback_id: str, seconds: float = 5) -> Frame:
    """That the question is over, as *client* was or will be told."""

    def is_it(frame: Frame) -> bool:
        return bool(frame["type"] == "confirm_closed" and frame["callback_id"] == callback_id)

    return next(filter(is_it, client.frames), None) or await client.until(is_it, seconds)


def note(what: str) -> None:
    """Say what was measured (``pytest -rP`` shows it)."""
    sys.stdout.write(what + "\n")


@asynccontextmanager
async def waiting(asking: Any) -> AsyncIterator[asyncio.Task[UserConfirmation]]:
    task = asyncio.create_task(asking)
    try:
        yield task
    finally:
        task.cancel()


async def soon(task: asyncio.Future[UserConfirmation], seconds: float = LATE_SECONDS) -> UserConfirmation:
    return await asyncio.wait_for(asyncio.shield(task), seconds)


async def until(happened: Callable[[], Any], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not await happened():
            await asyncio.sleep(0.01)


# -- whoever dies -------------------------------------------------------------------------------------


async def test_the_replica_of_the_browser_is_killed_before_the_answer(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, lease_seconds=3) as (first, second):
        async with asking_process(redis_url, prefix) as p1:
            async with connected(first.url, "anna") as anna:
                callback_id = await asked(anna)
                first.kill()
                await anna.closed()
            async with connected(second.url, "anna") as anna:
                assert await asked(anna, LATE_SECONDS) == callback_id
                assert await confirm(anna, callback_id, feedback="go") == "accepted"
                outcome = await p1.outcome(LATE_SECONDS)

    assert (outcome.proceed, outcome.feedback, outcome.responded_by) == (True, "go", "anna")


@pytest.mark.parametrize("how", [{"idempotency_key": "k"}, {}], ids=["its key", "the step"])
@pytest.mark.parametrize("meanwhile", ["answered", "pending"])
async def test_the_asker_is_killed_and_finds_its_question_again(
    fleet: list[Replica], redis_url: str, fleet_prefix: str, backend: Backend, how: dict[str, Any], meanwhile: str
) -> None:
    how = {**how, "message": f"{how} {meanwhile}?"} | ({"idempotency_key": meanwhile} if how else {})
    async with connected(fleet[0].url, "anna") as anna:
        async with asking_process(redis_url, fleet_prefix, **how) as p1:
            callback_id = await asked(anna)
            await p1.kill()
        if meanwhile == "answered":
            assert await confirm(anna, callback_id, False, feedback="no") == "accepted"
        async with asking_process(redis_url, fleet_prefix, **how) as p1:
            if meanwhile == "pending":
                await until(lambda: _waiters(backend, callback_id, 2))
                assert await confirm(anna, callback_id, False, feedback="no") == "accepted"
            outcome = await p1.outcome()
        again = [frame for frame in anna.frames if frame["type"] == "task_step_result"]

    assert (outcome.proceed, outcome.feedback, outcome.callback_id) == (False, "no", callback_id)
    assert len(again) == 1, "it was never asked twice"


async def _waiters(backend: Backend, callback_id: str, count: int) -> bool:
    key = backend._names.ask(split(callback_id)[0])
    (waiters,) = await backend._shards.ask(("HGET", key, "waiters"))
    return len(waiters.split()) >= count


async def test_a_replica_dies_between_the_answer_and_the_telling(
    fleet: list[Replica], backend: Backend, redis: Redis, fleet_prefix: str
) -> None:
    async with (
        connected(fleet[0].url, "otto") as one,
        connected(fleet[1].url, "otto") as other,
        waiting(backend.ask("otto", "?")) as outcome,
    ):
        callback_id = await asked(one)
        id_, secret = split(callback_id)
        names = Names(fleet_prefix)
        call = asks.answer(asks.record(names, id_), secret, Responder("otto"), Response(True))
        await run(redis, *call)
        died_at = time.monotonic()

        for client in (one, other):
            assert (await closed(client, callback_id))["status"] == "answered"
        assert time.monotonic() - died_at < LATE_SECONDS + 0.3
        assert (await soon(outcome)).responded_by == "otto"
        # Nobody hinted the asker, who looks each second by itself.
        assert time.monotonic() - died_at < LATE_SECONDS + 0.3


async def test_nobody_waits_any_more_and_the_dialog_is_closed_in_time(fleet: list[Replica], backend: Backend) -> None:
    lates = []
    async with connected(fleet[0].url, "paul") as paul:
        for _ in range(3):
            begun = await backend.begin_ask("paul", "?", timeout=1)
            frame = await closed(paul, begun.callback_id)
            lates.append(time.time() - begun.expires_at.timestamp())
            assert frame["status"] == "timed_out"
    note(f"closed at most {max(lates):.3f} s after the deadline, with nobody waiting")
    assert max(lates) < LATE_SECONDS


async def test_a_replica_is_frozen_over_the_deadline(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, lease_seconds=3) as (first, second):
        async with (
            fairlead.connect(redis_url, prefix=prefix) as backend,
            connected(first.url, "anna") as frozen,
            connected(second.url, "anna") as other,
        ):
            with_asker = await backend.begin_ask("anna", "?", timeout=1.5)
            async with waiting(backend.answer_to(with_asker.callback_id, wait_seconds=30)) as outcome:
                without = await backend.begin_ask("anna", "?", timeout=1.5)
                deadline = without.expires_at.timestamp()
                for _ in range(2):
                    await asked(frozen)
                first.freeze()
                try:
                    for begun in (with_asker, without):
                        assert (await closed(other, begun.callback_id, 4))["status"] == "timed_out"
                    late = time.time() - deadline
                    assert (await soon(outcome)).status == "timed_out"
                    await asyncio.sleep(max(0.0, 5 - (time.time() - deadline)))
                finally:
                    first.thaw()
                note(f"closed {late:.3f} s after the deadline, while a replica was frozen")
                assert late < LATE_SECONDS
            status = [frame["status"] for frame in await _closings(frozen, 2)]
    assert status == ["timed_out", "timed_out"]


async def _closings(client: Client, count: int) -> list[Frame]:
    return [await client.until("confirm_closed", 10) for _ in range(count)]


async def test_no_log_holds_what_lets_people_answer(redis_url: str, prefix: str) -> None:
    with replicas(2, redis_url, prefix, lease_seconds=3, log_level="debug") as fleet:
        async with (
            fairlead.connect(redis_url, prefix=prefix) as backend,
            connected(fleet[0].url, "anna") as anna,
            connected(fleet[1].url, "eve") as eve,
        ):
            async with waiting(backend.ask("anna", "?")) as outcome:
                callback_id = await asked(anna)
                assert await confirm(eve, callback_id) == "forbidden"
                assert await confirm(anna, callback_id) == "accepted"
                assert (await soon(outcome)).by_human
            assert await confirm(anna, callback_id, False) == "already_answered"
            ran_out = await backend.ask("anna", "?", timeout=1)
            assert await confirm(anna, ran_out.callback_id) == "expired"
        logs = "".join(replica.log for replica in fleet)
    assert "connection opened" in logs
    for secret in (split(callback_id)[1], split(ran_out.callback_id)[1]):
        assert secret not in logs


# -- whoever is quicker -------------------------------------------------------------------------------


async def test_two_devices_answer_at_the_same_instant(fleet: list[Replica], backend: Backend) -> None:
    winners = {True: 0, False: 0}
    async with connected(fleet[0].url, "dora") as one, connected(fleet[1].url, "dora") as other:
        for _ in range(200):
            async with waiting(backend.ask("dora", "?", timeout=30)) as outcome:
                callback_ids = {await asked(device) for device in (one, other)}
                (callback_id,) = callback_ids
                acks = await asyncio.gather(
                    one.ask("confirm", callback_id=callback_id, proceed=True, feedback="one"),
                    other.ask("confirm", callback_id=callback_id, proceed=False, feedback="other"),
                )
                confirmation = await soon(outcome)
                frames = [await closed(device, callback_id) for device in (one, other)]

            assert sorted(ack["status"] for ack in acks) == ["accepted", "already_answered"]
            assert confirmation.proceed is (acks[0]["status"] == "accepted")
            assert confirmation.feedback == ("one" if confirmation.proceed else "other")
            assert {ack["answer"]["proceed"] for ack in acks} == {confirmation.proceed}
            assert {ack["answer"]["at"] for ack in acks} == {frame["at"] for frame in frames}
            assert {(frame["status"], frame["by"]) for frame in frames} == {("answered", "dora")}
            winners[confirmation.proceed] += 1
    assert sum(winners.values()) == 200
    note(f"one device won {winners[True]} races, the other {winners[False]}")


async def test_about_the_deadline_all_are_told_the_same(fleet: list[Replica], backend: Backend) -> None:
    statuses: dict[str, int] = {}
    lates = []

    async def one(client: Client, begun: fairlead.Asked, offset: float) -> None:
        deadline = begun.expires_at.timestamp()
        outcome = asyncio.create_task(backend.answer_to(begun.callback_id, wait_seconds=30))
        await asyncio.sleep(max(0.0, deadline + offset - time.time()))
        await client.say("confirm", callback_id=begun.callback_id, proceed=False)
        ack = await client.until(
            lambda frame: frame["type"] == "confirm_ack" and frame["callback_id"] == begun.callback_id
        )
        confirmation = await outcome
        if not confirmation.by_human:
            lates.append(time.time() - deadline)
        told = await closed(client, begun.callback_id)

        expected = {"accepted": ("answered", False), "expired": ("timed_out", True)}[ack["status"]]
        assert (confirmation.status, confirmation.proceed) == expected
        assert told["status"] == confirmation.status
        statuses[ack["status"]] = statuses.get(ack["status"], 0) + 1

    async with AsyncExitStack() as stack:
        users = [
            await stack.enter_async_context(connected(fleet[number % 2].url, f"edge-{number}")) for number in range(20)
        ]

        async def ten(number: int, client: Client) -> None:
            for turn in range(10):
                begun = await backend.begin_ask(f"edge-{number}", "?", timeout=1)
                # From 5 ms before to 1 ms after: it takes about two to get there.
                await one(client, begun, -0.005 + 0.006 * (number * 10 + turn) / 200)

        await asyncio.gather(*(ten(number, client) for number, client in enumerate(users)))
    note(f"{statuses}; the asker knew at most {max(lates):.3f} s after the deadline")
    assert sum(statuses.values()) == 200
    assert set(statuses) == {"accepted", "expired"}
    assert max(lates) < LATE_SECONDS


async def test_a_thousand_that_nobody_answers_end_in_time(fleet: list[Replica], backend: Backend) -> None:
    count = 300

    async def ask(number: int) -> tuple[float, fairlead.UserConfirmation | None]:
        begun = await backend.begin_ask(f"many-{number}", "?", timeout=4)
        outcome = await backend.answer_to(begun.callback_id, wait_seconds=30)
        return time.time() - begun.expires_at.timestamp(), outcome

    async with connected(fleet[0].url, "many-7") as client:
        heard = await asyncio.wait_for(asyncio.gather(*(ask(number) for number in range(count))), 60)
        assert (await client.until("confirm_closed"))["status"] == "timed_out"

    late = max(late for late, _ in heard)
    note(f"{count} questions timed out at once; the last asker knew {late:.3f} s after its deadline")
    assert {outcome and outcome.status for _, outcome in heard} == {"timed_out"}
    assert late < LATE_SECONDS


# -- whoever comes later ------------------------------------------------------------------------------


async def test_who_connects_in_any_moment_of_the_asking_is_shown_it(fleet: list[Replica], backend: Backend) -> None:
    for number in range(60):
        user = f"late-{number}"

        async def come(user: str = user, replica: Replica = fleet[number % 2], wait: float = number / 4000) -> str:
            await asyncio.sleep(wait)
            async with connected(replica.url, user) as client:
                callback_id = await asked(client, 2)
                assert await confirm(client, callback_id) == "accepted"
                return callback_id

        async with waiting(backend.ask(user, "?", timeout=20)) as outcome:
            callback_id = await come()
            assert (await soon(outcome)).callback_id == callback_id


async def test_five_devices_of_a_user_are_all_asked_and_all_closed(fleet: list[Replica], backend: Backend) -> None:
    async with AsyncExitStack() as stack:
        devices = [await stack.enter_async_context(connected(fleet[n % 2].url, "vera")) for n in range(5)]
        async with waiting(backend.ask("vera", "?")) as outcome:
            (callback_id,) = {await asked(device) for device in devices}
            assert await confirm(devices[3], callback_id) == "accepted"
            assert {(await closed(device, callback_id))["by"] for device in devices} == {"vera"}
            assert (await soon(outcome)).by_human
        assert await confirm(devices[0], callback_id) == "duplicate"
        assert await confirm(devices[1], callback_id, False) == "already_answered"


async def test_another_role_has_other_questions(fleet: list[Replica], backend: Backend) -> None:
    async with connected(fleet[0].url, "rita", role="ops") as rita, waiting(backend.ask("role:ops", "?")) as outcome:
        callback_id = await asked(rita)
        refreshed = await rita.ask("refresh", token=mint(SECRET, Wish("rita", role="guest", ttl_seconds=60)))
        assert refreshed["type"] == "reply", refreshed
        assert await confirm(rita, callback_id) == "forbidden"
        assert (await rita.ask("list_confirms"))["confirms"] == []
        again = await rita.ask("refresh", token=mint(SECRET, Wish("rita", role="ops", ttl_seconds=60)))
        assert again["type"] == "reply"
        assert await confirm(rita, callback_id) == "accepted"
        assert (await soon(outcome)).responded_by == "rita"


async def test_a_client_that_speaks_msgpack(fleet: list[Replica], backend: Backend) -> None:
    headers = {"Authorization": f"Bearer {token('mina')}"}
    protocols = [Subprotocol("fairlead.v1.msgpack")]
    schema = {"type": "object", "properties": {"vlan": {"type": "integer"}}}
    async with connect(fleet[0].url, additional_headers=headers, subprotocols=protocols) as mina:

        async def heard(kind: str) -> Frame:
            async with asyncio.timeout(5):
                while (frame := msgpack.unpackb(await mina.recv()))["type"] != kind:
                    pass
            return dict(frame)

        await heard("connection_established")
        async with waiting(backend.ask("mina", "?", schema=schema)) as outcome:
            question = await heard("task_step_result")
            answer = {"action": "confirm", "callback_id": question["callback_id"], "proceed": True}
            await mina.send(msgpack.packb(answer | {"content": {"vlan": float("nan")}}))
            assert (await heard("error"))["code"] == "invalid_json"
            await mina.send(msgpack.packb(answer | {"content": {"vlan": 7}}))
            assert (await heard("confirm_ack"))["status"] == "accepted"
            assert (await soon(outcome)).content == {"vlan": 7}


# -- what happens to Redis ----------------------------------------------------------------------------


@pytest.mark.parametrize("fsync", ["always", "everysec"])
async def test_redis_is_restarted_with_its_file_while_people_think(prefix: str, fsync: str) -> None:
    options = ("--appendonly", "yes", "--appendfsync", fsync)
    with Server(*options) as server, replicas(2, server.url, prefix, lease_seconds=3) as fleet:
        async with connected(fleet[0].url, "anna") as anna, asking_process(server.url, prefix) as p1:
            callback_id = await asked(anna)
            async with fairlead.connect(server.url, prefix=prefix) as backend:
                earlier = await backend.begin_ask("anna", "before", timeout=60)
                assert await confirm(anna, earlier.callback_id) == "accepted"
                if fsync == "everysec":
                    await asyncio.sleep(1.5)
                await asyncio.to_thread(server.restart)
                for replica in fleet:
                    await asyncio.to_thread(replica.wait_ready)

                assert await confirm(anna, callback_id, False) == "accepted"
                assert (await p1.outcome(LATE_SECONDS + 0.5)).proceed is False
                kept = await backend.answer_to(earlier.callback_id)
    assert kept is not None
    assert kept.by_human


async def test_redis_is_away_over_the_deadline(prefix: str) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with Server(*options) as server, replicas(2, server.url, prefix, lease_seconds=3) as fleet:
        async with connected(fleet[0].url, "anna") as anna:
            async with asking_process(server.url, prefix, timeout=2, on_timeout="stop") as p1:
                callback_id = await asked(anna)
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(5)
                await asyncio.to_thread(server.start)
                back_at = time.monotonic()

                outcome = await p1.outcome(5)
                took = time.monotonic() - back_at
                assert (await closed(anna, callback_id, 10))["status"] == "timed_out"
            late = await confirm(anna, callback_id)
    note(f"the asker knew {took:.3f} s after Redis was back")
    assert (outcome.status, outcome.proceed, late) == ("timed_out", False, "expired")
    assert took < LATE_SECONDS + 0.5


async def test_redis_comes_back_empty_and_nobody_is_told_an_outcome(prefix: str) -> None:
    with Server() as server, replicas(2, server.url, prefix, lease_seconds=3) as fleet:
        async with connected(fleet[0].url, "anna") as anna, fairlead.connect(server.url, prefix=prefix) as backend:
            async with waiting(backend.ask("anna", "?", timeout=10, idempotency_key="k")) as outcome:
                callback_id = await asked(anna)
                await asyncio.to_thread(server.restart)
                with pytest.raises(fairlead.Unavailable):
                    await soon(outcome, 5)
            for replica in fleet:
                await asyncio.to_thread(replica.wait_ready)
            assert await confirm(anna, callback_id) == "unknown"

            async with waiting(backend.ask("anna", "?", timeout=10, idempotency_key="k")) as outcome:
                callback_id = await asked(anna)
                assert await confirm(anna, callback_id) == "accepted"
                assert (await soon(outcome)).by_human
