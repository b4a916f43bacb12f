"""The demonstration page over HTTP: who may ask for what, in which words a replica says no, and its end by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import uuid4

import httpx2
import pytest

import fairlead
from fairlead.backend.backend import Backend
from fairlead_gateway import processes
from fairlead_gateway.rest.demo.guests import may_ask, sockets_for
from fairlead_gateway.rest.demo.routes import SETTLED_SECONDS
from fairlead_gateway.rest.demo.stage import DEVICES, MAX_SHOWS, NOTIFICATIONS
from fairlead_gateway.settings import Settings
from tests.gateway.patience import until_asked
from tests.support.redis import free_port
from tests.support.replica import SECRET, Replica, wait_until

ORIGINS = ("http://127.0.0.1:8000", "http://127.0.0.1:8001")
SECONDS = 20.0


@pytest.fixture(scope="module")
def prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def replica(redis_url: str, prefix: str) -> Iterator[Replica]:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with Replica(redis_url, prefix, name="demo", port=port, demo=origin, allowed_origins=origin) as one:
        yield one


@pytest.fixture
async def http(replica: Replica) -> AsyncIterator[httpx2.AsyncClient]:
    """Whoever is at the page."""
    headers = {"origin": replica.http}
    async with httpx2.AsyncClient(base_url=replica.http, headers=headers, timeout=SECONDS) as client:
        yield client


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=prefix) as backend:
        yield backend


def settings(origins: Sequence[str] = ORIGINS) -> Settings:
    return Settings(jwt_secret=SECRET, demo=origins, allowed_origins=origins)


# -- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "origin", "may"),
    [
        ("127.0.0.1:8000", ORIGINS[0], True),
        ("127.0.0.1:8000", ORIGINS[1], True),
        ("localhost:8000", None, True),
        ("[::1]:8000", None, True),
        ("127.0.0.1:8000", "null", False),
        ("127.0.0.1:8000", "https://evil.example", False),
        ("rebound.example:8000", ORIGINS[0], False),
        ("127.0.0.1.evil.example", None, False),
        ("", None, False),
    ],
)
def test_only_the_page_itself_may_ask(host: str, origin: str | None, may: bool) -> None:
    assert may_ask(host, origin, settings()) is may


def test_who_came_to_a_replica_is_told_of_all_and_who_came_to_something_before_them_stays_there() -> None:
    assert list(sockets_for("localhost:8001", settings())) == ["ws://127.0.0.1:8000", "ws://127.0.0.1:8001"]
    assert list(sockets_for("127.0.0.1:8080", settings())) == []


@pytest.mark.parametrize("what", ["invitations", "tasks", "questions", "notifications", "messages", "kill"])
async def test_another_site_is_refused_and_cannot_even_read_why(http: httpx2.AsyncClient, what: str) -> None:
    answer = await http.post(f"/demo/{what}", headers={"origin": "https://evil.example"}, content=b"{}")

    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_the_page_of_the_other_replica_may_read_the_answer(http: httpx2.AsyncClient, replica: Replica) -> None:
    good = await http.post("/demo/invitations", content=json.dumps({"user": "ada"}))
    bad = await http.post("/demo/invitations", content=json.dumps({"user": "no name"}))

    assert (good.status_code, bad.status_code) == (200, 422)
    for answer in (good, bad):
        assert answer.headers["access-control-allow-origin"] == replica.http
        assert answer.headers["cache-control"] == "no-store"
    assert "body: user" in bad.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"[]", b"no json", b'{"session":"s","more":1}', b'{"session":"s","count":51}'])
async def test_what_is_not_meant_is_refused(http: httpx2.AsyncClient, body: bytes) -> None:
    assert (await http.post("/demo/messages", content=body)).status_code == 422


async def test_a_request_that_is_too_long_is_not_read_to_its_end(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/demo/messages", content=b" " * 2000)).status_code == 413


# -- what backends do -------------------------------------------------------------------------------------------------


async def test_a_task_asks_in_the_middle_and_ends_when_it_shall_not_go_on(
    http: httpx2.AsyncClient, fl: Backend
) -> None:
    answer = await http.post("/demo/tasks", content=json.dumps({"owner": "ada", "watchers": ["ben"]}))
    id = answer.json()["task_id"]
    begun = await fl.get_task(id)

    assert answer.status_code == 202
    assert begun is not None and (begun.status, begun.owner, begun.total_devices) == ("running", "ada", len(DEVICES))
    assert await fl.cancel_task(id, by="ada")


async def test_a_notification_of_every_kind_is_kept_for_who_is_away(http: httpx2.AsyncClient) -> None:
    for kind in NOTIFICATIONS:
        answer = await http.post("/demo/notifications", content=json.dumps({"user": "cyd", "type": kind}))
        assert answer.status_code == 202
        assert answer.json()["id"].endswith("~cyd")


async def test_so_many_things_go_on_at_once_and_no_more(http: httpx2.AsyncClient) -> None:
    ask = json.dumps({"people": ["dan"], "message": "Again?"})
    answers = [await http.post("/demo/questions", content=ask) for _ in range(MAX_SHOWS + 2)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert int(refused[0].headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers} == {202, 429}


# -- its end ----------------------------------------------------------------------------------------------------------


async def test_a_replica_kills_itself_for_the_page_alone_and_not_before_it_has_settled(
    redis_url: str, prefix: str
) -> None:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    one = Replica(redis_url, prefix, name="ends", port=port, demo=origin, allowed_origins=origin)
    with one:
        async with httpx2.AsyncClient(base_url=origin, timeout=SECONDS) as client:
            assert (await client.post("/demo/kill")).status_code == 403

            early = await client.post("/demo/kill", headers={"origin": origin})
            assert early.status_code == 409
            assert "try again in" in early.json()["detail"]

            async def is_told() -> bool:
                return (await client.post("/demo/kill", headers={"origin": origin})).status_code == 202

            await until_asked(is_told, SECONDS)
            process = one.process
            assert process is not None
            wait_until(lambda: process.poll() is not None, SECONDS, "it has ended")
        assert process.returncode == -9


def test_killing_never_makes_fairlead_dev_give_up() -> None:
    assert SETTLED_SECONDS > processes.SETTLED_SECONDS


def test_a_replica_without_the_setting_serves_nothing_of_it(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, name="plain") as one:
        assert {one.status(path) for path in ("/", "/demo", "/demo/static/main.js", "/demo/kill")} == {404}
