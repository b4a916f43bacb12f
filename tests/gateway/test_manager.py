"""The manager: one interface to a replica, by the names that applications know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead_gateway import ConnectionMonitor, ConnectionPool, MessageDispatcher, Settings, WebSocketManager
from tests.gateway.patience import until
from tests.gateway.running import Gateway, new_session, new_user, serving, settings_for
from tests.support.redis import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(redis_url: str) -> AsyncIterator[Gateway]:
    async with serving(settings_for(redis_url)) as gateway:
        yield gateway


# -- sending -----------------------------------------------------------------------------------------


async def test_each_kind_of_channel_has_a_method_that_reaches_it(gateway: Gateway) -> None:
    user, name = new_user(), new_session()
    client = await gateway.connect(user, f"/ws/chat/session/{name}")
    await client.hear("session_joined")
    await client.ask("subscribe", channels=[f"instance:{name}", f"topic:{name}"])
    manager = gateway.manager

    sent = [
        await manager.send(f"user:{user}", {"type": "n"}),
        await manager.send_to_user(user, {"type": "n"}),
        await manager.send_to_session(name, {"type": "n"}),
        await manager.send_to_instance(name, {"type": "n"}),
        await manager.send_message(name, {"type": "n"}),
        await manager.send_to_topic(name, {"type": "n"}),
        await manager.send_to_connection(client.id, {"type": "n"}),
        await manager.broadcast({"type": "n"}),
        await manager.broadcast_message({"type": "n"}),
    ]

    heard = [await client.hear("n") for _ in sent]
    assert sorted(m["id"] for m in heard) == sorted(s.id for s in sent)
    assert all(s.receivers == 1 for s in sent)
    assert {m["from"] for m in heard} == {"system"}


async def test_a_message_reaches_its_user_on_another_replica(gateway: Gateway) -> None:
    settings = gateway.manager.settings.model_copy(update={"replica": "second"})
    async with serving(settings) as second:
        user = new_user()
        here, there = await gateway.connect(user), await second.connect(user)

        sent = await gateway.manager.send_to_user(user, {"type": "both"})

        assert sent.receivers == 2
        assert {(await client.hear("both"))["id"] for client in (here, there)} == {sent.id}


async def test_sent_twice_under_one_id_it_arrives_once(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)

    first = await gateway.manager.send_to_user(user, {"type": "once"}, message_id="m-1")
    second = await gateway.manager.send_to_user(user, {"type": "once"}, message_id="m-1")
    await client.hear("once")

    assert (first.duplicate, second.duplicate, second.offset) == (False, True, first.offset)
    assert await client.heard() == []


async def test_a_patch_says_whether_anybody_is_there(gateway: Gateway) -> None:
    name = new_session()
    nobody = await gateway.manager.send_patch(name, {"state.count": 41})
    client = await gateway.connect(path=f"/ws/instance/{name}")

    somebody = await gateway.manager.send_patch(name, {"state.count": 42}, patch_id=7, base_version=1)
    patch = await client.hear("patch")

    assert (nobody, somebody) == (False, True)
    assert (patch["patch"], patch["patch_id"], patch["base_version"]) == ({"state.count": 42}, 7, 1)
    assert patch["instance"] == name


async def test_the_heartbeat_of_a_task_is_sent_until_it_is_cancelled(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)

    task = asyncio.create_task(gateway.manager.send_heartbeat(user, "t1", interval=0.02))
    beats = [await client.hear("heartbeat") for _ in range(3)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert {(beat["task_id"], beat["status"]) for beat in beats} == {("t1", "alive")}


async def test_what_cannot_be_sent_raises_and_says_why(gateway: Gateway) -> None:
    with pytest.raises(InvalidMessage):
        await gateway.manager.send_to_user("no such id!", {"type": "x"})
    with pytest.raises(InvalidMessage):
        await gateway.manager.send_to_user("42", {"content": "no type"})
    with pytest.raises(InvalidJson):
        await gateway.manager.send_to_user("42", {"type": "x", "content": float("nan")})


# -- figures -----------------------------------------------------------------------------------------


async def test_the_figures_follow_who_comes_and_goes(redis_url: str) -> None:
    async with serving(settings_for(redis_url)) as gateway:
        manager = gateway.manager
        alice = await gateway.connect("alice", "/ws/chat/session/s1")
        await gateway.connect("alice", "/ws/instance/demo")
        await gateway.connect("bob", "/ws/instance/demo")
        await alice.hear("session_joined")
        await manager.send_to_instance("demo", {"type": "n"})
        await alice.ask("no_such_action")
        await until(lambda: manager.get_stats()["messages_sent"] == 3)

        stats = manager.get_stats()
        instances = manager.get_instance_stats(), manager.get_instance_stats("demo"), manager.get_instance_stats("no")
        listed, counted = manager.list_active_instances(), manager.get_connection_count("demo")
        infos = {info.connection_id: info for info in manager.connections()}
        await alice.leave()
        await until(lambda: manager.get_total_connections() == 2)

        assert stats == {
            "total_connections": 3,
            "active_connections": 3,
            "messages_sent": 3,
            "messages_received": 1,
            "disconnections": 0,
            "errors": 1,
            "active_users": 2,
            "active_sessions": 1,
            "total_user_connections": 3,
            "total_session_connections": 1,
        }
        assert instances == (
            {"demo": {"connections": 2}},
            {"instance": "demo", "connections": 2, "is_active": True},
            {"instance": "no", "connections": 0, "is_active": False},
        )
        assert (listed, counted) == (["demo"], 2)
        assert (infos[alice.id].user_id, infos[alice.id].session_id) == ("alice", "s1")
        assert infos[alice.id].address == "127.0.0.1"
        assert manager.get_stats()["disconnections"] == 1
        assert manager.get_stats()["active_sessions"] == 0


async def test_health_and_status_tell_the_truth_before_during_and_after(redis_url: str) -> None:
    manager = WebSocketManager(settings_for(redis_url))
    before = manager.health_check()["status"], manager.get_status()["running"]
    server = await manager.start_server()
    await until(lambda: manager.health_check()["status"] == "healthy", 10)
    during = manager.get_status()
    await manager.stop_server()
    after = manager.health_check()["status"], manager.get_status()["running"]

    assert before == after == ("unhealthy", False)
    assert (during["running"], during["replica"], during["port"]) == (True, manager.replica_id, server.port)
    assert during["active_connections"] == 0


async def test_the_parts_are_there_under_their_names(gateway: Gateway) -> None:
    assert isinstance(gateway.manager.pool, ConnectionPool)
    assert isinstance(gateway.manager.dispatcher, MessageDispatcher)
    assert isinstance(gateway.manager.monitor, ConnectionMonitor)


# -- life ----------------------------------------------------------------------------------------------


async def test_host_and_port_may_be_given_by_name(redis_url: str) -> None:
    manager = WebSocketManager(settings_for(redis_url), host="127.0.0.2", port=free_port())

    assert (manager.settings.host, manager.settings.port) == ("127.0.0.2", manager.get_status()["port"])


async def test_a_port_that_is_taken_is_an_error_and_not_the_end_of_the_program(
    gateway: Gateway, redis_url: str
) -> None:
    manager = WebSocketManager(settings_for(redis_url, port=gateway.port))

    with pytest.raises(RuntimeError, match=f"127.0.0.1:{gateway.port}"):
        await manager.start_server()

    assert manager.get_status()["running"] is False
    await manager.stop_server()


async def test_stopped_and_started_again_it_serves_as_before(redis_url: str) -> None:
    settings = settings_for(redis_url)
    manager = WebSocketManager(settings)
    manager.register_handler("double", lambda message, context: message["n"] * 2)

    for _ in range(2):
        server = await manager.start_server()
        gateway = Gateway(manager, server.port)
        client = await gateway.connect("42")
        assert (await client.ask("double", n=21))["result"] == 42
        sent = await manager.send_to_user("42", {"type": "n"})
        assert (await client.hear("n"))["id"] == sent.id
        await client.leave()
        await manager.stop_server()


async def test_entered_twice_it_runs_once(redis_url: str) -> None:
    manager = WebSocketManager(settings_for(redis_url))

    async with manager.lifespan():
        async with manager.lifespan():
            inside = manager.get_status()["running"]
        after_inner = manager.get_status()["running"]

    assert (inside, after_inner, manager.get_status()["running"]) == (True, True, False)


async def test_stopping_what_does_not_run_is_harmless(redis_url: str) -> None:
    await WebSocketManager(settings_for(redis_url)).stop_server()


# -- plugins -------------------------------------------------------------------------------------------


async def test_plugins_named_in_the_settings_are_installed(redis_url: str) -> None:
    async with serving(settings_for(redis_url, plugins=("tests.gateway.plugged:greeter",))) as gateway:
        client = await gateway.connect("42")

        assert (await client.ask("greet"))["greeting"] == "hello 42"


@pytest.mark.parametrize("path", ["no.such.module:x", "tests.gateway.plugged:nothing", "tests.gateway.plugged", ":"])
async def test_a_plugin_that_is_not_there_is_named(path: str) -> None:
    with pytest.raises(ValueError, match="FAIRLEAD_PLUGINS"):
        WebSocketManager(Settings(plugins=(path,)))
