"""``/ws/monitor/tasks``: the tasks of a user, those that there are and those that begin (ST-2, CON-1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from starlette.types import ASGIApp, Receive, Scope, Send

import fairlead
from fairlead.errors import Conflict
from fairlead.names import Names
from fairlead_gateway import WebSocketManager
from fairlead_gateway.edge.protocol import WebSocketProtocol
from fairlead_gateway.sessions import monitors
from tests.gateway.patience import until
from tests.gateway.running import Client, Gateway, new_user, serving, serving_app, settings_for
from tests.gateway.sessions.test_watching_tasks import new_task
from tests.support.redis import Server
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/ws/monitor/tasks"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fl(gateway: Gateway, redis_url: str) -> AsyncIterator[fairlead.Backend]:
    async with fairlead.connect(redis_url, prefix=gateway.manager.settings.prefix) as fl:
        yield fl


async def monitor(gateway: Gateway, user: str) -> Client:
    """A client at the endpoint, without any claims."""
    return await gateway.connect(path=PATH, bearer=token(user, topics=("none",)))


async def test_the_current_tasks_come_first_and_then_what_changes(gateway: Gateway, fl: fairlead.Backend) -> None:
    user, first, second, foreign = new_user(), new_task(), new_task(), new_task()
    for task, owner in ((first, user), (second, user), (foreign, new_user())):
        await fl.update_task(task, owner=owner, progress=10)

    client = await monitor(gateway, user)
    states = [await client.next() for _ in range(2)]
    await fl.update_task(first, progress=20)
    await fl.update_task(foreign, progress=20)
    change = await client.next()

    assert {state["task_id"]: state["type"] for state in states} == dict.fromkeys((first, second), "task_update")
    assert {f"task:{first}", f"task:{second}"} < set(client.greeting["channels"])
    assert (change["task_id"], change["progress"]) == (first, 20)
    assert await client.heard() == []


async def test_who_is_named_the_owner_of_what_is_somebody_elses_hears_nothing_of_it(
    gateway: Gateway, fl: fairlead.Backend
) -> None:
    user, task = new_user(), new_task()
    watching = await monitor(gateway, user)
    await fl.update_task(task, owner=new_user(), message="for the owner alone")

    with pytest.raises(Conflict):
        await fl.update_task(task, owner=user)
    late = await monitor(gateway, user)
    await fl.update_task(own := new_task(), owner=user)

    assert f"task:{task}" not in late.greeting["channels"]
    for client in (watching, late):
        assert (await client.hear("task_update"))["task_id"] == own
        assert all(message["task_id"] == own for message in await client.heard())


async def test_a_task_that_begins_later_appears_by_itself(gateway: Gateway, fl: fairlead.Backend) -> None:
    user, task = new_user(), new_task()
    watching, idle = await monitor(gateway, user), await gateway.connect(user)

    await fl.update_task(task, owner=user, progress=1)
    while (seen := await watching.hear("task_update"))["version"] < 1:
        pass
    await until(lambda: f"task:{task}" in gateway_channels(gateway, watching))
    await watching.heard()
    await fl.update_task(task, progress=2)

    assert (seen["task_id"], seen["progress"]) == (task, 1)
    assert (await watching.hear("task_update"))["progress"] == 2
    assert await idle.heard() == []


async def test_tasks_that_begin_in_a_storm_all_appear(gateway: Gateway, fl: fairlead.Backend) -> None:
    user, tasks = new_user(), [new_task() for _ in range(30)]
    client = await monitor(gateway, user)

    await asyncio.gather(*(fl.update_task(task, owner=user) for task in tasks))

    seen: set[str] = set()
    while seen != set(tasks):
        seen.add((await client.hear("task_update"))["task_id"])


async def test_others_may_be_watched_there_too(gateway: Gateway, fl: fairlead.Backend) -> None:
    task = new_task()
    await fl.update_task(task, progress=5)
    client = await gateway.connect(path=PATH, bearer=token(new_user(), tasks=(task,)))

    await client.ask("subscribe_task", task_id=task)

    assert (await client.hear("task_update"))["progress"] == 5


async def test_what_is_left_is_not_forced_on_anybody_again(gateway: Gateway, fl: fairlead.Backend) -> None:
    user, task = new_user(), new_task()
    await fl.update_task(task, owner=user)
    client = await monitor(gateway, user)
    await client.hear("task_update")

    await client.ask("unsubscribe_task", task_id=task)
    await fl.update_task(other := new_task(), owner=user)
    await client.hear("task_update")
    await fl.update_task(task, progress=5)

    assert f"task:{task}" not in gateway_channels(gateway, client)
    assert all(message["task_id"] == other for message in await client.heard())


async def test_what_ended_long_ago_is_left_and_what_was_asked_for_is_not(
    gateway: Gateway, fl: fairlead.Backend, redis_url: str
) -> None:
    user, ended, kept = new_user(), new_task(), new_task()
    names = Names(gateway.manager.settings.prefix)
    for task in (ended, kept):
        await fl.update_task(task, owner=user)
    client = await monitor(gateway, user)
    await client.ask("subscribe_task", task_id=kept)
    async with Redis.from_url(redis_url) as redis:
        for task in (ended, kept):
            await fl.update_task(task, status="completed")
            await redis.hset(names.task(task), "@at", 1)
    await fl.update_task(new := new_task(), owner=user)

    await until(lambda: f"task:{new}" in gateway_channels(gateway, client))
    assert f"task:{ended}" not in gateway_channels(gateway, client)
    assert f"task:{kept}" in gateway_channels(gateway, client)


async def test_a_lost_hint_is_made_up_for(gateway: Gateway, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors, "LOOK_SECONDS", 0.1)
    user, task = new_user(), new_task()
    async with serving(settings_for(redis_url)) as own, Redis.from_url(redis_url) as redis:
        client = await monitor(own, user)
        names = Names(own.manager.settings.prefix)
        async with fairlead.connect(redis_url, prefix=names.prefix) as fl:
            await fl.update_task(task, progress=5)
        await redis.zadd(names.tasks(user), {task: 1})

        assert (await client.hear("task_update"))["progress"] == 5


async def test_what_began_while_a_replica_was_not_heard_is_looked_for(own_server: Server) -> None:
    user, task = new_user(), new_task()
    async with serving(settings_for(own_server.url)) as own, Redis.from_url(own_server.url) as redis:
        client = await monitor(own, user)
        names = Names(own.manager.settings.prefix)
        async with fairlead.connect(own_server.url, prefix=names.prefix) as fl:
            await fl.update_task(task, progress=5)
        await redis.zadd(names.tasks(user), {task: 1})

        await redis.client_kill_filter(_type="pubsub")

        assert (await client.hear("task_update"))["progress"] == 5


async def test_there_are_only_as_many_as_a_connection_may_hear(redis_url: str) -> None:
    settings = settings_for(redis_url, max_channels_per_connection=3)
    user, tasks = new_user(), [new_task() for _ in range(5)]
    async with serving(settings) as own, fairlead.connect(redis_url, prefix=settings.prefix) as fl:
        for task in tasks:
            await fl.update_task(task, owner=user)
            await asyncio.sleep(0.002)
        client = await monitor(own, user)
        await fl.update_task(new_task(), owner=user)

        assert {state["task_id"] for state in [await client.next() for _ in range(3)]} == set(tasks[2:])
        assert await client.heard() == []


async def test_who_has_left_is_forgotten(gateway: Gateway, fl: fairlead.Backend) -> None:
    user = new_user()
    client = await monitor(gateway, user)
    known = gateway.manager._parts.replica.monitors._of
    assert user in known

    await client.leave()

    await until(lambda: user not in known)


async def test_the_path_works_within_an_application_with_middleware(redis_url: str) -> None:
    user, task = new_user(), new_task()
    manager = WebSocketManager(settings_for(redis_url))
    manager.app.add_middleware(Passing)
    async with (
        serving_app(manager.app, manager, WebSocketProtocol) as gateway,
        fairlead.connect(redis_url, prefix=manager.settings.prefix) as fl,
    ):
        await fl.update_task(task, owner=user, progress=5)
        client = await monitor(gateway, user)

        assert (await client.hear("task_update"))["progress"] == 5


class Passing:
    """Middleware that does nothing, so that Starlette's own routes are searched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def gateway_channels(gateway: Gateway, client: Client) -> tuple[str, ...]:
    connection = gateway.manager.pool.get(client.id)
    return connection.channels if connection is not None else ()
