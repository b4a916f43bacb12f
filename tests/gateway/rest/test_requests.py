"""Requests that are wrong in every way we could think of: each is answered with a problem, none with a trace."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any

import pytest

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.intake import BODY_SECONDS
from fairlead_gateway.rest.route import PREFIX
from tests.conformance.client import dialled
from tests.gateway.rest.callers import headers_of
from tests.support.replica import Replica

ADMIN = headers_of(Rank.ADMIN)
JSON = {"Content-Type": "application/json"}
KICK = "/users/disconnect"


class Answer:
    """One HTTP response, as it came over the wire."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def problem(self) -> dict[str, Any]:
        """The document that every error must be."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["cache-control"] == "no-store"
        found: dict[str, Any] = json.loads(self.body)
        assert found["type"] == "about:blank" and found["status"] == self.status and found["title"]
        assert "Traceback" not in found["detail"]
        return found


async def ask(
    replica: Replica,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    under: str = PREFIX,
) -> Answer:
    """The answer to a request that is sent as it stands here."""
    given = ADMIN if headers is None else headers
    length = {"Content-Length": str(len(body))} if body and "Transfer-Encoding" not in given else {}
    lines = {"Host": "x", "Connection": "close", **length, **given}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    async with dialled(replica.port) as raw:
        raw.writer.write(f"{method} {under}{path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        return Answer(await raw.rest())


def logged_faults(replica: Replica) -> Iterable[object]:
    return [event for event in replica.events() if event.get("level") in ("error", "critical")]


@pytest.fixture(autouse=True)
def nothing_is_logged_as_our_fault(replica: Replica) -> Iterable[None]:
    before = len(list(logged_faults(replica)))
    yield
    assert list(logged_faults(replica))[before:] == []


# -- methods and paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(replica: Replica, method: str) -> None:
    answer = await ask(replica, method, KICK)

    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert answer.problem["title"] == "method_not_allowed"


async def test_head_is_get_without_the_body_and_options_tells_the_methods(replica: Replica) -> None:
    head = await ask(replica, "HEAD", "/config")
    options = await ask(replica, "OPTIONS", "/config", {})

    assert (head.status, head.body, head.headers["cache-control"]) == (200, b"", "no-store")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/nothing", "/config/", "/connections//", "/connections/a/b", "/connections/a%2Fb", "/../metrics"),
        *("/config%0A", "/%0A/a"),
    ],
)
async def test_what_leads_nowhere_is_not_found(replica: Replica, method: str, path: str) -> None:
    answer = await ask(replica, method, path)

    assert (answer.status, answer.problem["title"]) == (404, "not_found")


@pytest.mark.parametrize("id", ["%00", "%ff", "a%20b", "%C3%A9", "a" * 129, "*", "%0a", "x%0d%0aSet-Cookie:%20a=b"])
async def test_what_is_no_id_is_refused_and_named(replica: Replica, id: str) -> None:
    answer = await ask(replica, "GET", f"/connections/{id}")

    assert (answer.status, answer.problem["errors"][0]["at"]) == (422, "id")
    assert "set-cookie" not in answer.headers


async def test_an_id_may_be_percent_encoded(replica: Replica) -> None:
    answer = await ask(replica, "GET", "/users/%61%40b.c/connections")

    assert answer.status == 200


# -- queries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("userid=1", "userid"),
        ("user_id=1&user_id=2", "user_id"),
        ("user_id=", "user_id"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=1e1", "limit"),
        ("limit=NaN", "limit"),
        ("limit=10&limit=10", "limit"),
        ("cursor=*", "cursor"),
        ("cursor=" + "f" * 300, "cursor"),
        ("q=" + "a" * 129, "q"),
        ("__proto__=1", "__proto__"),
        ("%FF=1", "�"),
    ],
)
async def test_a_parameter_that_is_wrong_is_named(replica: Replica, query: str, at: str) -> None:
    answer = await ask(replica, "GET", f"/connections?{query}")

    assert answer.status == 422
    assert answer.problem["errors"][0]["at"].startswith(at)


async def test_a_query_says_nothing_about_the_path(replica: Replica) -> None:
    answer = await ask(replica, "GET", "/connections/a?id=b")

    assert (answer.status, answer.problem["errors"][0]["at"]) == (422, "id")


async def test_ten_thousand_parameters_cost_no_time(replica: Replica) -> None:
    began = time.process_time()
    answer = await ask(replica, "GET", "/connections?" + "&".join(f"a{n}" for n in range(9_000)))

    assert answer.status == 422
    assert time.process_time() - began < 2


# -- bodies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "title"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b'{"user_id":"\\ud800"}', 400, "invalid_json"),
        (b'{"code":NaN,"user_id":"1"}', 400, "invalid_json"),
        (b'{"code":Infinity,"user_id":"1"}', 400, "invalid_json"),
        (b'{"code":1e999,"user_id":"1"}', 400, "invalid_json"),
        (b'{"code":' + b"9" * 5000 + b',"user_id":"1"}', 400, "invalid_json"),
        (b'{"a":' * 150 + b"1" + b"}" * 150, 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b"[" * 90 + b"]" * 90, 422, "invalid_message"),
        (b"[]", 422, "invalid_message"),
        (b"null", 422, "invalid_message"),
        (b'"user_id"', 422, "invalid_message"),
        (b"{}", 422, "invalid_message"),
        (b'{"user_id":1}', 422, "invalid_message"),
        (b'{"user_id":"1","user_ids":["2"]}', 422, "invalid_message"),
        (b'{"user_ids":[]}', 422, "invalid_message"),
        (b'{"user_id":"1","code":1000}', 422, "invalid_message"),
        (b'{"user_id":"1","code":"4003"}', 422, "invalid_message"),
        (b'{"user_id":"1","reason":true}', 422, "invalid_message"),
        (b'{"user_id":"1","reason":"' + b"a" * 101 + b'"}', 422, "invalid_message"),
        (b'{"user_id":"1","because":"x"}', 422, "invalid_message"),
        (b'{"user_id":"1","__class__":{}}', 422, "invalid_message"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_a_body_that_is_wrong_is_refused(replica: Replica, body: bytes, status: int, title: str) -> None:
    answer = await ask(replica, "POST", KICK, ADMIN | JSON, body)

    assert (answer.status, answer.problem["title"]) == (status, title)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonx"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
    ids=str,
)
async def test_a_body_of_another_kind_is_not_looked_at(replica: Replica, headers: dict[str, str]) -> None:
    answer = await ask(replica, "POST", KICK, ADMIN | headers, b'{"user_id":"1"}')

    assert answer.status == 415
    assert answer.problem["title"] == "unsupported_media_type"


async def test_a_charset_and_any_accept_are_let_pass(replica: Replica) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8", "Accept": "text/html"}

    answer = await ask(replica, "POST", KICK, ADMIN | headers, b'{"user_id":"nobody"}')

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


async def test_a_body_where_none_belongs_is_passed_over(replica: Replica) -> None:
    answer = await ask(replica, "GET", "/config", ADMIN, b'{"a":1}')

    assert answer.status == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "in chunks"])
async def test_a_body_that_is_too_large_is_refused_and_the_answer_arrives(replica: Replica, chunked: bool) -> None:
    body = b'{"user_id":"' + b"a" * 1_500_000 + b'"}'
    length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body

    answer = await ask(replica, "POST", KICK, ADMIN | JSON | length, sent)

    assert (answer.status, answer.problem["title"]) == (413, "too_large")


async def test_a_hundred_thousand_mistakes_in_a_body_are_told_in_ten(replica: Replica) -> None:
    many = json.dumps({f"a{n}": n for n in range(60_000)}).encode()
    ids = json.dumps({"user_ids": ["*"] * 190_000}).encode()
    for body in (many, ids):
        answer = await ask(replica, "POST", KICK, ADMIN | JSON, body)
        assert answer.status == 422
        assert len(answer.problem["errors"]) <= 10
        assert len(answer.body) < 4000


async def test_who_is_nobody_is_told_so_before_the_body_has_come_and_does_not_hold_the_line(replica: Replica) -> None:
    began = time.monotonic()
    async with dialled(replica.port) as raw:
        raw.writer.write(f"POST {PREFIX}{KICK} HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n{{".encode())
        answer = Answer(await raw.rest())

    assert (answer.status, answer.headers["connection"]) == (401, "close")
    assert time.monotonic() - began < 5


async def test_a_body_that_drips_is_not_waited_for(replica: Replica) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in (ADMIN | JSON).items())
    async with dialled(replica.port) as raw:
        raw.writer.write(f"POST {PREFIX}{KICK} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n{head}\r\n".encode())
        dripping = asyncio.create_task(_drip(raw.writer))
        answer = Answer(await raw.rest(BODY_SECONDS + 5))
        dripping.cancel()

    assert (answer.status, answer.problem["title"]) == (408, "request_timeout")


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.05)


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(replica: Replica) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in (ADMIN | JSON).items())
    async with dialled(replica.port) as raw:
        raw.writer.write(f"POST {PREFIX}{KICK} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n{head}\r\n".encode())
        await raw.writer.drain()
        raw.writer.transport.abort()

    assert (await ask(replica, "GET", "/config")).status == 200
