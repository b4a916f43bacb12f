"""``fairlead doctor``: what is well is found well, and each of the usual faults is named with what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer
from redis import Redis

from fairlead import codes
from fairlead.names import Names
from fairlead_gateway.cli.doctor.faults import UPGRADE, of_close, of_error, of_status
from fairlead_gateway.cli.doctor.rights import needed
from fairlead_gateway.cli.output import Status
from tests.cli.conftest import Fairlead, Outcome
from tests.support import rights
from tests.support.certificates import Authority
from tests.support.nginx import BINARY, Nginx
from tests.support.redis import Server, free_port
from tests.support.replica import SECRET, Replica, token
from tests.support.topologies import Cluster, Sentinels

GOOD = {
    *("version", "settings", "files", "redis", "server", "role", "eviction", "clients", "rights", "pubsub", "clock"),
    *("replicas", "gateway", "ready", "handshake", "subprotocol", "action", "message", "idle"),
}

needs_nginx = pytest.mark.skipif(BINARY is None, reason="needs nginx")


def verdicts(outcome: Outcome) -> dict[str, str]:
    """By check; of several of one, the last."""
    return {finding["check"]: finding["verdict"] for finding in outcome.json["findings"]}


def wrong(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {finding["check"]: finding for finding in outcome.json["findings"] if finding["verdict"] == "wrong"}


def test_everything_is_well(replica: Replica, fairlead: Fairlead) -> None:
    told = fairlead("doctor", "--url", replica.url)
    facts = fairlead("doctor", "--url", replica.url, "--json")

    assert (told.status, facts.status, facts.json["ok"]) == (Status.OK, Status.OK, True), told.out
    assert {check for check, verdict in verdicts(facts).items() if verdict == "good"} == GOOD
    assert verdicts(facts)["persistence"] == "advice"
    assert "wrong" not in told.out and told.out.splitlines()[-1].endswith(f"{facts.json['good']} good")


def test_it_leaves_nothing_but_a_message(replica: Replica, fairlead: Fairlead, redis_url: str, prefix: str) -> None:
    with Redis.from_url(redis_url) as redis:
        fairlead("doctor", "--url", replica.url, "--token", token("42"))
        found = [key.decode() for key in redis.scan_iter(f"{prefix}:*")]

    assert [key for key in found if "doctor" in key] == []


def test_replicas_of_several_versions_are_told(
    replica: Replica, fairlead: Fairlead, redis_url: str, names: Names
) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        (name,) = redis.zrange(names.replicas, 0, -1)
        redis.zadd(names.replicas, {"older": redis.zscore(names.replicas, name)})
        redis.hset(names.replica("older"), "version", "0.0.9")
        found = fairlead("doctor", "--url", replica.url, "--json")

    assert verdicts(found)["replicas"] == "advice" and "0.0.9" in found.out


def test_nothing_is_there(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "redis://gateway:hunter2@127.0.0.1:1/0")
    monkeypatch.setenv("FAIRLEAD_PORT", str(free_port()))
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)

    told, facts = fairlead("doctor"), fairlead("doctor", "--json")

    assert told.status == facts.status == Status.NO
    assert set(wrong(facts)) == {"redis", "gateway", "handshake"}
    assert "127.0.0.1:1/0" in wrong(facts)["redis"]["text"] and "FAIRLEAD_REDIS_URL" in wrong(facts)["redis"]["todo"]
    assert "hunter2" not in told.out + told.err + facts.out
    assert "Traceback" not in told.err + facts.err


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [("PORT", "eighty", "settings"), ("REDIS_URL", "x", "settings"), ("JWT_SECRET", "short", "settings")],
)
def test_settings_that_cannot_be_used_are_a_finding(
    fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch, name: str, value: str, check: str
) -> None:
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv(f"FAIRLEAD_{name}", value)

    outcome = fairlead("doctor", "--json", "--timeout", "1")

    assert outcome.status == Status.NO
    assert f"FAIRLEAD_{name}" in wrong(outcome)[check]["text"] + wrong(outcome)[check]["todo"]


def test_a_variable_that_is_no_setting_is_named(configured: None, fairlead: Fairlead, monkeypatch: Any) -> None:
    monkeypatch.setenv("FAIRLEAD_PRT", "1")

    assert "FAIRLEAD_PRT is no setting" in fairlead("doctor").out


# -- Redis -------------------------------------------------------------------------------------------------------------


def of_redis(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch, url: str, prefix: str = "fl") -> Outcome:
    """The findings about the Redis at *url*; nobody else is there."""
    environment = {"REDIS_URL": url, "PREFIX": prefix, "JWT_SECRET": SECRET, "PORT": str(free_port())}
    for name, value in environment.items():
        monkeypatch.setenv(f"FAIRLEAD_{name}", value)
    return fairlead("doctor", "--json")


def test_a_redis_that_throws_keys_away_is_wrong(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes") as server:
        found = of_redis(fairlead, monkeypatch, server.url)

    assert "noeviction" in wrong(found)["eviction"]["todo"]
    assert verdicts(found)["persistence"] == "good"
    assert verdicts(found)["replicas"] == "advice"


def test_a_replica_of_redis_is_wrong(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as master, Server("--replicaof", "127.0.0.1", str(master.port)) as copy:
        found = of_redis(fairlead, monkeypatch, copy.url)

    assert "master" in wrong(found)["redis"]["todo"]


@pytest.mark.parametrize("shape", [Sentinels, Cluster])
def test_every_shape_of_redis_is_looked_at(
    fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch, shape: type[Sentinels | Cluster]
) -> None:
    with shape() as topology:
        found = of_redis(fairlead, monkeypatch, topology.url)

    of_servers = {name: verdict for name, verdict in verdicts(found).items() if name in GOOD}
    assert {name for name, verdict in of_servers.items() if verdict == "wrong"} == {"gateway", "handshake"}
    assert {of_servers[name] for name in ("redis", "role", "rights", "pubsub", "clock")} == {"good"}


@pytest.mark.parametrize("user", ["nobody", ""])
def test_a_password_that_is_none_is_told_without_it(
    fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch, user: str, tmp_path: Path
) -> None:
    with Server("--aclfile", str(rights.acl_file(tmp_path))) as server:
        found = of_redis(fairlead, monkeypatch, f"redis://{user}:hunter2@127.0.0.1:{server.port}/0")

    assert "FAIRLEAD_REDIS_URL" in wrong(found)["redis"]["todo"]
    assert "hunter2" not in found.out


def test_the_rights_that_are_shipped_are_enough_and_fewer_are_named(
    fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Server("--aclfile", str(rights.acl_file(tmp_path))) as server:
        enough = of_redis(fairlead, monkeypatch, rights.url_of(server, "gateway"))
        with Redis.from_url(rights.url_of(server, "admin")) as admin:
            admin.execute_command("ACL", "SETUSER", "gateway", "-xadd", "-xgroup|create")
        fewer = of_redis(fairlead, monkeypatch, rights.url_of(server, "gateway"))

    assert (verdicts(enough)["rights"], verdicts(enough)["pubsub"]) == ("good", "good")
    assert sorted(wrong(fewer)["rights"]["facts"]["lacking"]) == ["xadd", "xgroup|create"]


def test_the_rights_that_are_tried_are_those_that_are_shipped() -> None:
    assert needed() == rights.granted("gateway")


# -- the way of a WebSocket --------------------------------------------------------------------------------------------


def test_a_token_of_another_secret_is_told(replica: Replica, fairlead: Fairlead, monkeypatch: Any) -> None:
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", "9f86d081884c7d659a2feaa0c55ad015")

    found = fairlead("doctor", "--url", replica.url, "--json")

    assert "4403" in wrong(found)["greeting"]["text"] and "FAIRLEAD_JWT_SECRET" in wrong(found)["greeting"]["todo"]


def test_an_origin_that_is_not_allowed_is_told(replica: Replica, fairlead: Fairlead) -> None:
    found = fairlead("doctor", "--url", replica.url, "--origin", "https://elsewhere.example", "--json")

    assert "FAIRLEAD_ALLOWED_ORIGINS" in wrong(found)["greeting"]["todo"]


def test_a_token_in_the_address_is_told_and_not_repeated(replica: Replica, fairlead: Fairlead) -> None:
    outcome = fairlead("doctor", "--url", f"{replica.url}?token=hunter2")

    assert outcome.status == Status.NO
    assert "there is a token in the address" in outcome.out and "hunter2" not in outcome.out


def test_without_a_token_nothing_is_opened(replica: Replica, fairlead: Fairlead, monkeypatch: Any) -> None:
    monkeypatch.delenv("FAIRLEAD_JWT_SECRET")

    found = verdicts(fairlead("doctor", "--url", replica.url, "--json"))

    assert found["handshake"] == "skipped"


def test_a_gateway_with_another_prefix_is_found_out(replica: Replica, fairlead: Fairlead, monkeypatch: Any) -> None:
    monkeypatch.setenv("FAIRLEAD_PREFIX", "another")

    found = fairlead("doctor", "--url", replica.url, "--timeout", "1", "--json")

    assert {"fleet", "message"} <= set(wrong(found))
    assert "FAIRLEAD_PREFIX" in wrong(found)["fleet"]["todo"]


def test_silence_is_kept_as_long_as_asked(replica: Replica, fairlead: Fairlead) -> None:
    found = verdicts(fairlead("doctor", "--url", replica.url, "--idle", "0.5", "--json"))

    assert found["silence"] == "good"


Change = Callable[[str], str]

PROXIES: dict[str, tuple[Change, str, str, str]] = {
    "no upgrade headers": (
        lambda text: text.replace("proxy_set_header Upgrade           $asked_upgrade;", ""),
        "handshake",
        "the upgrade was lost",
        "proxy_set_header Upgrade",
    ),
    "a login": (
        lambda text: text.replace("location /ws {", "location /ws { return 401;"),
        "handshake",
        "401",
        "the gateway looks at tokens itself",
    ),
    "another path": (
        lambda text: text.replace("location /ws {", "location /ws { return 404;"),
        "handshake",
        "404",
        "path",
    ),
    "elsewhere": (
        lambda text: text.replace("location /ws {", "location /ws { return 426;"),
        "handshake",
        "426",
        "proxy_http_version",
    ),
    "no subprotocol": (
        lambda text: text.replace("location /ws {", "location /ws { proxy_hide_header Sec-WebSocket-Protocol;"),
        "subprotocol",
        "none was agreed on",
        "Sec-WebSocket-Protocol",
    ),
}


@contextmanager
def proxy(replica: Replica, change: Change = lambda text: text) -> Iterator[Nginx]:
    """The Nginx that is shipped, changed, before *replica*."""
    nginx = Nginx([replica.port] * 3)
    nginx.config.write_text(change(nginx.config.read_text()))
    with nginx:
        yield nginx


@needs_nginx
def test_the_nginx_that_is_shipped_is_well(replica: Replica, fairlead: Fairlead) -> None:
    with proxy(replica) as nginx:
        found = fairlead("doctor", "--url", nginx.url, "--json")

    assert found.status == Status.OK, found.out
    assert verdicts(found)["message"] == verdicts(found)["handshake"] == "good"


@needs_nginx
@pytest.mark.parametrize("fault", PROXIES)
def test_a_proxy_with_a_fault_is_told_what_to_do(replica: Replica, fairlead: Fairlead, fault: str) -> None:
    change, check, text, todo = PROXIES[fault]
    with proxy(replica, change) as nginx:
        found = fairlead("doctor", "--url", nginx.url, "--json")

    assert text in wrong(found)[check]["text"] and todo in wrong(found)[check]["todo"], found.out


@needs_nginx
def test_a_proxy_that_loses_the_credential_is_told(replica: Replica, fairlead: Fairlead) -> None:
    """The handshake then fails in a browser as here: no subprotocol is agreed on, and nobody is let in."""
    lost = 'proxy_buffering off; proxy_set_header Sec-WebSocket-Protocol "";'
    with proxy(replica, lambda text: text.replace("proxy_buffering off;", lost)) as nginx:
        found = fairlead("doctor", "--url", nginx.url, "--timeout", "7", "--json")

    assert "4408" in wrong(found)["greeting"]["text"]
    assert "Sec-WebSocket-Protocol" in wrong(found)["greeting"]["todo"]


@needs_nginx
def test_a_proxy_without_a_gateway_is_told(configured: None, fairlead: Fairlead) -> None:
    with Nginx([free_port()] * 3) as nginx:
        found = fairlead("doctor", "--url", nginx.url, "--json")

    assert (
        "502" in wrong(found)["handshake"]["text"] and "cannot reach the gateway" in wrong(found)["handshake"]["text"]
    )


@contextmanager
def answering(answer: bytes | None, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that says *answer* to whoever comes, or nothing; over TLS if there is a *context*."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if context is not None:
                    with suppress(OSError):
                        context.wrap_socket(connection, server_side=True)
                if answer is not None:
                    connection.recv(65_536)
                    connection.sendall(answer)
                    connection.close()

        Thread(target=serve, daemon=True).start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "a page is there"),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nHTTPS", "TLS is spoken there"),
        (b"SSH-2.0-OpenSSH_9\r\n", ""),
        (b"", "cut without an answer"),
        (None, "in time"),
    ],
    ids=["redirect", "page", "tls", "ssh", "cut", "silent"],
)
def test_what_is_no_gateway_is_told_in_a_sentence(
    configured: None, fairlead: Fairlead, answer: bytes | None, text: str
) -> None:
    with answering(answer) as url:
        outcome = fairlead("doctor", "--url", url, "--token", "t", "--timeout", "1", "--json")

    assert outcome.status == Status.NO
    assert text in wrong(outcome)["handshake"]["text"], outcome.out
    assert "Traceback" not in outcome.err


def test_a_certificate_that_nobody_knows_is_told(configured: None, fairlead: Fairlead, tmp_path: Path) -> None:
    pem = Authority(tmp_path).sign("gateway", ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem.certificate, pem.key)
    with answering(None, context) as url:
        found = fairlead(
            "doctor", "--url", url.replace("ws://127.0.0.1", "wss://localhost"), "--timeout", "5", "--json"
        )

    assert "certificate is not accepted" in wrong(found)["handshake"]["text"], found.out
    assert "whole chain" in wrong(found)["handshake"]["todo"]


# -- the words ---------------------------------------------------------------------------------------------------------


def test_every_close_that_a_handshake_may_end_with_has_something_to_do() -> None:
    for close in codes.CLOSES:
        fault = of_close(close.code, close.reason("why"))
        assert str(close.code) in fault.text and fault.todo


def test_statuses_and_errors_have_words() -> None:
    for status in (*range(300, 310), *range(400, 430), *range(500, 505)):
        fault = of_status(status, {"server": "nginx", "location": "/x"}, "")
        assert str(status) in fault.text and fault.todo
    assert of_status(404, {}, "Not Found").todo == UPGRADE
    for error in (ssl.SSLEOFError(8, "x"), socket.gaierror(), ConnectionRefusedError(), TimeoutError(), OSError("x")):
        assert of_error(error, "ws://x/ws").todo


def test_its_help_says_what_the_status_means() -> None:
    from fairlead_gateway.cli.commands import app

    command = typer.main.get_command(app).commands["doctor"]  # type: ignore[attr-defined]
    assert "Status 0" in (command.help or "")
