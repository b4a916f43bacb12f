"""The ACL file that is shipped gives each side what it needs, and nothing else (DEP-3, T15)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ResponseError

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from fairlead.sync.backend import SyncBackend
from fairlead_gateway.facts.lane import SCRIPTS
from fairlead_gateway.rest.table import ROWS
from fairlead_gateway.sessions.actions import RESERVED
from tests.support.client import Client, client, connected
from tests.support.redis import Server
from tests.support.replica import Replica, replicas, token, wait_until
from tests.support.rest import rest
from tests.support.rights import PREFIX, SHIPPED, acl_file, granted, refusals, url_of, with_passwords

NAMES = Names(PREFIX)

ACTIONS: dict[str, dict[str, Any]] = {
    "ping": {},
    "ack": {"message_ids": ["m-unknown"], "channel": "user:ann", "offset": 0},
    "subscribe": {"channels": ["topic:t", "session:s", "instance:i", "task:k", "device:d"]},
    "unsubscribe": {"channels": ["topic:t"]},
    "join_session": {"session_id": "s2"},
    "message": {"session_id": "s2", "content": "to a session", "message_id": "m-1"},
    "typing": {"session_id": "s2", "is_typing": True},
    "confirm": {"callback_id": "none", "proceed": True},
    "list_confirms": {},
    "subscribe_task": {"task_id": "k"},
    "cancel": {"task_id": "k"},
    "unsubscribe_task": {"task_id": "k"},
    "read": {"session_id": "s2", "message_id": "ann/m-1"},
    "presence": {"channel": "session:s2"},
    "history": {"channel": "session:s2"},
    "patch": {"instance": "i", "patch": {"a.b": 1}},
    "get_state": {"channel": "instance:i"},
    "leave_session": {"session_id": "s2"},
    "refresh": {"token": token("ann")},
}
"""Every action that may be said at any time, in an order that makes sense."""

OF_ADMINS: dict[str, dict[str, Any]] = {"watch_live": {}, "unwatch_live": {}}
"""Likewise, of those who look at the fleet."""

NEEDED_BY_NOBODY = {
    "gateway": [
        *(["KEYS", "*"], ["SCAN", "0"], ["FLUSHALL"], ["FLUSHDB"], ["CONFIG", "GET", "*"], ["SCRIPT", "FLUSH"]),
        *(["ACL", "LIST"], ["SHUTDOWN"], ["REPLICAOF", "NO", "ONE"], ["CLIENT", "LIST"]),
        *(["MONITOR"], ["PSUBSCRIBE", "*"], ["EVAL", "return redis.call('GET', 'other')", "1", "other"]),
        *(["GET", "other"], ["GET", "flx:layout"], ["SET", "other:fl:x", "1"], ["RENAME", "fl:layout", "fl:x"]),
        *(["PUBLISH", "other", "x"], ["SUBSCRIBE", "other"], ["SUBSCRIBE", "__keyevent@0__:set"]),
        *(["SPUBLISH", "other", "x"], ["SSUBSCRIBE", "other"], ["XADD", "other", "*", "a", "b"]),
    ],
    "backend": [
        *(["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["SCRIPT", "FLUSH"], ["CLIENT", "LIST"]),
        *(["GET", "other"], ["GET", "fl:ticket:x"], ["XADD", "fl:ingress", "*", "to", "x"]),
        *(["XADD", "fl:history:conns", "*", "facts", "x"], ["DEL", "fl:ticket:x"]),
        *(["DEL", "fl:{fleet}:revoked"], ["XADD", "fl:{fleet}:revoked", "*", "a", "b"]),
        *(["SET", "fl:{fleet}:replicas", "x"], ["ZADD", "fl:{fleet}:replicas", "1", "r"]),
        *(["HGETALL", "fl:{fleet}:replica:r:conns"], ["PUBLISH", "fl:{fleet}:replica:r:probe", "1"]),
        *(["PUBLISH", "other", "x"], ["SUBSCRIBE", "fl:{17}:user:42"], ["GETDEL", "fl:{17}:user:42:log"]),
    ],
    "writer": [
        *(["GET", "fl:layout"], ["XRANGE", "fl:ingress", "-", "+"], ["DEL", "fl:ingress"], ["EVAL", "return 1", "0"]),
        *(["XADD", "fl:{17}:user:42:log", "*", "a", "b"], ["PUBLISH", "fl:{fleet}:replica:r:probe", "1"]),
    ],
    "replication": [["GET", "fl:layout"], ["PUBLISH", "fl:{17}:user:42", "x"], ["CONFIG", "GET", "*"]],
}

REFUSED = r"(?i)permission|executing the script can't|ACL failure"


@contextmanager
def guarded(binary: str, directory: Path) -> Iterator[Server]:
    """A server that knows the users of the shipped file, and nobody else."""
    with Server("--aclfile", str(acl_file(directory)), "--repl-diskless-sync-delay", "0", binary=binary) as server:
        yield server


@asynccontextmanager
async def administrator(server: Server) -> AsyncIterator[Redis]:
    redis = Redis.from_url(url_of(server, "admin"))
    yield redis
    await redis.aclose()


# -- enough ----------------------------------------------------------------------------------------


async def test_everything_that_replicas_and_backends_do_is_allowed(binary: str, tmp_path: Path) -> None:
    # Replicas in step with the master, since the drive asks for them: so WAIT and their own user are seen as well.
    follow = ["--masteruser", "replication", "--masterauth", "word-of-replication"]
    settings = {
        "lease_seconds": 3,
        "durable_replicas": 1,
        "log_level": "debug",
        "user_limit_policy": "evict",
        "max_connections_per_user": 2,
        "presence_grace_seconds": 0.2,
        "forwarded_actions": "work",
    }
    with guarded(binary, tmp_path) as server:
        follower = Server("--replicaof", "127.0.0.1", str(server.port), *follow, binary=binary)
        async with administrator(server) as admin:
            with follower, replicas(2, url_of(server, "gateway"), PREFIX, **settings) as fleet:
                await _replicated(admin)
                await _clients_say_all_there_is(fleet, server)
                await _backends_send_all_there_is(fleet[0], server)
                await _other_languages_write(fleet[0], server, admin)
                await _operators_ask_all_there_is(fleet)
                await _scripts_are_loaded_again(fleet[0], admin)
                await _the_dead_are_swept(fleet, server)
                fleet[0].stop()
                logs = "".join(replica.log for replica in fleet)

            assert await refusals(admin) == []
    assert not re.search(r"NOPERM|forbid|permission|refuse", logs), logs[-3000:]


async def _replicated(admin: Redis) -> None:
    await admin.set("written", "by the master")
    async with asyncio.timeout(20):
        while not await admin.wait(1, 100):
            pass


async def _clients_say_all_there_is(fleet: list[Replica], server: Server) -> None:
    async with fairlead.connect(url_of(server, "backend"), prefix=PREFIX) as fl:
        await fl.update_task("k", owner="ann", stalled_after=0.1)
    assert {*ACTIONS, *OF_ADMINS, "connect", "pong"} == RESERVED, "every action belongs into the table of this test"
    async with connected(fleet[0].url, "ann") as ann, connected(fleet[1].url, "ben") as ben:
        await ben.ask("join_session", session_id="s2")
        for action, fields in ACTIONS.items():
            answer = await ann.ask(action, **fields)
            assert answer["type"] != "error", (action, answer)
        assert (await ben.until("new_message"))["content"] == "to a session"
        assert (await ann.ask("message", to="user:ben", content="to a user"))["offset"]
        async with connected(fleet[0].url, "ann"), connected(fleet[1].url, "ann"):
            assert (await ann.closed())[0] == 4009, "evicted from another replica"
    for path in ("/ws/chat/session/s", "/ws/instance/i", "/ws/monitor/tasks"):
        async with connected(fleet[0].http.replace("http", "ws") + path, "cho"):
            pass
    async with connected(fleet[0].url + "/admin/monitor", "gus", role="admin") as gus:
        for action, fields in OF_ADMINS.items():
            assert (await gus.ask(action, **fields))["type"] == "reply"
    async with client(fleet[0].url + "?wait=connect") as late:
        await late.say("connect", token=token("dan"))
        await late.until("connection_established")
    await _a_ticket_opens(fleet)
    async with rest(fleet[0]) as api:
        for path in (
            "/stats",
            "/stats/history",
            "/replicas",
            "/instances",
            "/instances/i",
            "/sessions",
            "/online-users",
        ):
            await api.get(path)
        assert await api.get("/sessions/s2")


async def _operators_ask_all_there_is(fleet: list[Replica]) -> None:
    async with connected(fleet[1].url, "gus") as gus, rest(fleet[0], role="admin") as api:
        for row in ROWS:
            if row.method == "GET":
                path = row.path
                for name in row.in_path:
                    path = path.replace(f"{{{name}}}", "gus")
                status, found = await api.ask("GET", path)
                assert status in (200, 404), (path, found)
        assert (await api.post("/ping/gus"))["answers"]
        await api.post("/notify", {"user_id": "gus", "title": "t", "message": "m"})
        asked = await api.post("/confirmations", {"responders": ["gus"], "message": "?"})
        assert await api.ask("DELETE", f"/confirmations/{asked['callback_id']}") == (204, None)
        assert (await api.ask("PUT", "/tasks/of-gus", {"owner": "gus"}))[0] == 200
        assert (await api.post("/tasks/of-gus/cancel"))["status"] == "cancelled"
        assert (await api.post("/tokens/revoke", {"token_id": "nobody-s"}))["silent"] == []
        assert (await api.post("/users/disconnect", {"user_id": "gus"}))["closed"]
        assert (await gus.closed())[0] == 4003


async def _a_ticket_opens(fleet: list[Replica]) -> None:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(
            fleet[0].http + "/api/v1/websocket/tickets", headers={"Authorization": f"Bearer {token('eve')}"}
        )
    ticket = answer.json()["ticket"]
    async with client(f"{fleet[1].url}?ticket={ticket}") as eve:
        await eve.until("connection_established")


async def _backends_send_all_there_is(replica: Replica, server: Server) -> None:
    url = url_of(server, "backend")
    options: dict[str, Any] = {"prefix": PREFIX, "durable_replicas": 1}
    async with connected(replica.url, "fay", topics=["t"]) as fay:
        async with fairlead.connect(url, name="tests", **options) as fl:
            await fl.grant_session("s3", ["fay"])
            assert (await fay.ask("join_session", session_id="s3"))["type"] == "reply", "let in by the set in Redis"
            await _send_all(fl, fay)
            await _hear_all(fl, fay)
            assert "fay" in await fl.online_users()
            assert [member.user_id for member in await fl.presence("session:s3")] == ["fay"]
            await fl.revoke_session("s3", ["fay"])
            await _update_tasks(fl, fay)
        with fairlead.connect_sync(url, name="tests", **options) as sync:
            await asyncio.to_thread(_send_all_sync, sync)
            asking = asyncio.create_task(fay.ask("work"))
            await asyncio.to_thread(_hear_all_sync, sync)
            assert (await asking)["type"] == "reply"
        await fay.until("sync")


async def _send_all(fl: Backend, fay: Client) -> None:
    message = {"type": "async"}
    first = await fl.send_to_user("fay", message)
    again = await fl.send_to_user("fay", message, message_id=first.id)
    assert again.duplicate
    for sending in (fl.send_to_session, fl.send_to_instance, fl.send_to_topic):
        await sending("s3", message)
    await fl.send_to_connection(str(fay.frames[0]["connection_id"]), message)
    await fl.broadcast(message)
    waiting = asyncio.ensure_future(fl.send_to_user("fay", message, message_id="m-ack", requires_ack=True))
    await fay.until(lambda frame: frame.get("id") == "m-ack")
    await fay.ask("ack", message_ids=["m-ack"])
    assert (await waiting).id == "m-ack"
    asking = asyncio.ensure_future(fl.notify_user({"step": "s", "message": "go?"}, "fay", "t", 1))
    asked = await fay.until("task_step_result")
    assert (await fay.ask("confirm", callback_id=asked["callback_id"], proceed=True))["status"] == "accepted"
    assert (await asking).by_human
    begun = await fl.begin_ask("fay", "go?", task_id="t", escalate=[(1, ["role:ops"])], timeout=2)
    assert await fl.cancel_ask(begun.callback_id)
    await asyncio.gather(*(fl.send_patch("i", {"a.b": number}) for number in range(200)))
    await fl.set_state("i", {"a": 1})
    assert (await fl.get_instance("i")).version == (await fl.send_patch("i", {"b": 1})).version - 1
    assert "i" not in await fl.instance_counts()
    async with fl.batch():
        await fl.send_to_user("fay", message)
        await fl.send_to_topic("t", message)
    assert await fl.is_online("fay")
    assert await fl.last_seen("fay")
    assert (await fl.stats())["total_connections"] >= 0
    assert await fl.online_count() == len([user async for user in fl.iter_online()])
    await fl.device_status(456, "online")
    assert await fl.device_state(456)
    assert (await fl.history("device:456")).messages
    await fl.ai_status("s3", "thinking")
    await fl.message_status("s3", first.id, "delivered")


async def _update_tasks(fl: Backend, fay: Client) -> None:
    await fl.update_task("k2", owner="fay", progress=5, stalled_after=0.1)
    for _ in range(2):
        await fl.update_task("k2", **{f"f{number}": number for number in range(50)})
    assert (await fay.ask("subscribe_task", task_id="k2"))["task"]["progress"] == 5
    await fay.until("task_stalled")
    await fl.update_task("k2", progress=6, ephemeral=True)
    await fl.cancel_task("k2", by="fay")
    assert await fl.is_cancelled("k2")
    assert await fl.get_task("k2")


async def _hear_all(fl: Backend, fay: Client) -> None:
    async with fl.inbound("bot", max_deliveries=1) as inbound, fl.events("crm", idle_seconds=0.1) as events:
        asking = asyncio.create_task(fay.ask("work"))
        said = await anext(inbound)
        await said.reply({"done": True})
        await said.ack()
        assert (await asking)["done"] is True
        await fay.ask("message", session_id="s3", content="to be answered")
        await (await anext(inbound)).reply({"content": "answered"})
        await anext(events)
    async with fl.inbound("bot", idle_seconds=0.1, max_deliveries=1) as heir:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(heir)
    assert await fl.connection_history("fay") == []


def _hear_all_sync(fl: SyncBackend) -> None:
    with fl.inbound("bot") as inbound:
        said = next(inbound)
        said.reply({"done": True})
        said.ack()
    assert fl.connection_history(count=1)


def _send_all_sync(fl: SyncBackend) -> None:
    fl.grant_session("s4", ["fay"])
    for sending in (fl.send_to_user, fl.send_to_session, fl.send_to_instance, fl.send_to_topic):
        sending("fay", {"type": "sync"})
    fl.broadcast({"type": "sync"})
    for number in range(200):
        fl.send_patch("j", {"a.b": number})
    assert fl.get_instance("j").version == 200 and "j" not in fl.list_active_instances()
    unheard = fl.send_to_user("nobody", {"type": "sync"}, requires_ack=True, ack_timeout=0.3)
    assert unheard.status == "expired"
    assert fl.ask("fay", "go?", timeout=1).status == "timed_out"
    fl.revoke_session("s4", ["fay"])
    assert fl.is_online("fay") and "fay" in fl.online_users() and fl.presence("user:fay")


async def _other_languages_write(replica: Replica, server: Server, admin: Redis) -> None:
    writer = Redis.from_url(url_of(server, "writer"), driver_info=None)
    async with connected(replica.url, "gus") as gus:
        await gus.ask("subscribe", channels=["topic:t"])
        await writer.xadd(NAMES.ingress, {"to": "user:gus", "message": '{"type":"by_xadd"}'})
        await writer.xadd(NAMES.ingress, {"to": "nowhere", "message": "{}"})
        await writer.publish(NAMES.pubsub("topic:t"), '{"type":"by_publish"}')
        await gus.until(lambda frame: frame["type"] in ("by_xadd", "by_publish"))
        await gus.until(lambda frame: frame["type"] in ("by_xadd", "by_publish"))
        async with asyncio.timeout(10):
            while not await admin.xlen(NAMES.ingress_rejected):
                await asyncio.sleep(0.05)
    await writer.aclose()


async def _scripts_are_loaded_again(replica: Replica, admin: Redis) -> None:
    await admin.script_flush()
    async with connected(replica.url, "hal") as hal:
        assert (await hal.ask("message", to="user:hal", content="still here"))["type"] == "reply"


async def _the_dead_are_swept(fleet: list[Replica], server: Server) -> None:
    async with fairlead.connect(url_of(server, "backend"), prefix=PREFIX) as fl, client(fleet[1].url, "ivy") as ivy:
        await ivy.next()
        fleet[1].kill()
        async with asyncio.timeout(30):
            while await fl.is_online("ivy"):
                await asyncio.sleep(0.1)


# -- and no more -----------------------------------------------------------------------------------


@pytest.mark.parametrize("user", NEEDED_BY_NOBODY)
async def test_what_is_not_needed_is_refused(binary: str, tmp_path: Path, user: str) -> None:
    with guarded(binary, tmp_path) as server:
        redis = Redis.from_url(url_of(server, user), driver_info=None)
        for command in NEEDED_BY_NOBODY[user]:
            with pytest.raises(ResponseError, match=REFUSED):
                await redis.execute_command(*command)
                pytest.fail(f"{user} may {' '.join(command)}")
        await redis.aclose()


async def test_nobody_comes_in_without_a_name(binary: str, tmp_path: Path) -> None:
    with guarded(binary, tmp_path) as server:
        redis = Redis.from_url(server.url, protocol=2, driver_info=None)
        with pytest.raises(AuthenticationError):
            await redis.get("fl:layout")
        await redis.aclose()


@pytest.mark.parametrize("package", ["fairlead.redis.scripts", "fairlead.redis.scripts.parts", SCRIPTS])
def test_every_command_of_every_script_is_granted_to_the_gateway(package: str) -> None:
    """Found here even where no test drives the script into that corner."""
    called = {
        (script.name, command.lower())
        for script in files(package).iterdir()
        if script.name.endswith(".lua")
        for command in re.findall(r"redis\.p?call\('(\w+)'", script.read_text())
    }
    containers = {command.partition("|")[0] for command in granted("gateway")}

    missing = sorted(f"{script} calls {command}" for script, command in called if command not in containers)

    assert missing == [], f"add them to user gateway in {SHIPPED.name}"


# -- the file, and what happens without it -----------------------------------------------------------


def test_the_file_is_accepted_as_a_part_of_the_configuration(binary: str, tmp_path: Path) -> None:
    path = tmp_path / "redis-acl.conf"
    path.write_text(with_passwords())

    with Server("--include", str(path), binary=binary) as server:
        wait_until(server._answers, 5, "the server answers")


def test_the_file_is_refused_as_long_as_it_holds_placeholders(binary: str) -> None:
    with pytest.raises(RuntimeError, match="did not start"), Server("--include", str(SHIPPED), binary=binary):
        pass


@pytest.mark.parametrize("lost", ["evalsha", "hset", "subscribe", "info"])
async def test_a_replica_that_lacks_a_right_says_so_once_and_is_not_ready(
    binary: str, tmp_path: Path, lost: str
) -> None:
    with guarded(binary, tmp_path) as server:
        async with administrator(server) as admin:
            await admin.execute_command("ACL", "SETUSER", "gateway", f"-{lost}")
            replica = Replica(url_of(server, "gateway"), PREFIX, name="poor", lease_seconds=2)
            try:
                replica.launch()
                await asyncio.to_thread(replica.wait_listening)
                await asyncio.to_thread(
                    wait_until, partial(_complaints, replica), 10, f"a line about the lack of {lost}: {replica.log}"
                )
                await asyncio.sleep(2.5)
                assert not replica.is_ready()
                assert len(_complaints(replica)) == 1, replica.log
                await admin.execute_command("ACL", "SETUSER", "gateway", f"+{lost}")
                if lost != "subscribe":
                    await asyncio.to_thread(replica.wait_ready)
            finally:
                replica.close()


def _complaints(replica: Replica) -> list[str]:
    return [line for line in replica.log.splitlines() if re.search("redis forbids|redis refuses to be heard", line)]


async def test_one_right_less_is_told_where_it_is_missed(binary: str, tmp_path: Path) -> None:
    with guarded(binary, tmp_path) as server:
        async with administrator(server) as admin:
            await admin.execute_command("ACL", "SETUSER", "gateway", "-xreadgroup", "-getdel")
            with replicas(1, url_of(server, "gateway"), PREFIX) as (replica,):
                async with client(f"{replica.url}?ticket={'t' * 22}") as nobody:
                    assert (await nobody.closed())[0] == 4102
                assert len(_complaints(replica)) == 1
                assert replica.log.count("ingress interrupted: NoPermissionError") == 1

            assert {"xreadgroup", "getdel"} <= {entry["object"] for entry in await admin.acl_log()}


async def test_a_backend_that_lacks_a_right_is_told_at_once(binary: str, tmp_path: Path) -> None:
    with guarded(binary, tmp_path) as server:
        async with fairlead.connect(url_of(server, "writer"), prefix=PREFIX, timeout_seconds=60) as fl:
            with pytest.raises(fairlead.Unavailable, match="forbids"):
                await asyncio.wait_for(fl.send_to_user("42", {"type": "x"}), 10)
