"""``fairlead dev``: one command, everything there, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from fairlead.codes import FORBIDDEN
from fairlead_gateway.cli.banner import ON_THE_PAGE, QUESTION, Ready, banner, facts
from fairlead_gateway.cli.devfile import find, path
from fairlead_gateway.cli.output import Status
from tests.cli.conftest import Fairlead
from tests.support.processes import alive_in_group, children_of, descendants_of, ended
from tests.support.replica import environment, wait_until

SECONDS = 60.0
FAIRLEAD = (sys.executable, "-m", "fairlead_gateway")


@dataclass
class Dev:
    """A development server that is running."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]

    @property
    def token(self) -> str:
        return str(self.facts["token"])

    def all_processes(self) -> list[int]:
        return descendants_of(self.process.pid)


def free_pair() -> int:
    """A free port whose successor is free too, both outside of those that the system gives to clients."""
    while True:
        port = random.randrange(12_000, 30_000)
        with socket.socket() as one, socket.socket() as two, suppress(OSError):
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 1))
            return port


def launch(runtime: Path, port: int, *args: str) -> subprocess.Popen[str]:
    """`fairlead dev` as a shell starts it: leader of a process group of its own."""
    return subprocess.Popen(
        [*FAIRLEAD, "dev", "--port", str(port), *args],
        env=environment(log_format="json") | {"XDG_RUNTIME_DIR": str(runtime), "TMPDIR": str(runtime)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@contextmanager
def running(runtime: Path) -> Iterator[Dev]:
    process = launch(runtime, free_pair(), "--json")
    try:
        yield Dev(process, announced_by(process))
    finally:
        for pid in [*descendants_of(process.pid), process.pid]:
            if not ended(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=SECONDS)


def announced_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it tells when it is ready; log lines come before."""
    assert process.stdout is not None
    for line in process.stdout:
        told: dict[str, Any] = json.loads(line)
        if "token" in told:
            return told
    assert process.stderr is not None
    raise RuntimeError(f"fairlead dev ended: {process.stderr.read()}")


@pytest.fixture
def dev(runtime: Path) -> Iterator[Dev]:
    with running(runtime) as it:
        yield it


@pytest.fixture(scope="module")
def shared_dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One for all tests that only look at it."""
    runtime = tmp_path_factory.mktemp("runtime")
    with running(runtime) as it:
        it.facts["runtime"] = str(runtime)
        yield it


@pytest.fixture
def beside(shared_dev: Dev, monkeypatch: pytest.MonkeyPatch) -> Dev:
    """The shared server, as another shell of the same user sees it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", shared_dev.facts["runtime"])
    return shared_dev


# -- what it gives ----------------------------------------------------------------------------------------------------


def test_what_a_shell_sends_and_what_the_other_replica_hears_arrive_with_the_token_it_printed(
    beside: Dev, fairlead: Fairlead
) -> None:
    bearer = {"Authorization": f"Bearer {beside.token}"}
    here, there = (f"{url}/chat/session/s1" for url in beside.facts["sockets"])

    with (
        connect(here, additional_headers=bearer, proxy=None) as one,
        connect(there, additional_headers=bearer, proxy=None) as two,
    ):
        replicas = {json.loads(client.recv(timeout=10))["replica"] for client in (one, two)}
        sent = fairlead("send", "user:42", '{"type":"hello"}')
        heard = [next_of(client, "hello") for client in (one, two)]
        two.send(json.dumps({"action": "message", "session_id": "s1", "content": "from the other"}))
        said = next_of(one, "new_message")

    assert len(replicas) == 2
    assert sent.status == Status.OK and "fairlead dev" in sent.err
    assert heard[0] == heard[1]
    assert said["content"] == "from the other"


def next_of(client: Any, kind: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(client.recv(timeout=10))
        if frame["type"] == kind:
            return frame


def test_the_developer_watches_live_what_messages_say_on_both_replicas(beside: Dev, fairlead: Fairlead) -> None:
    bearer = {"Authorization": f"Bearer {beside.token}"}
    here, there = beside.facts["sockets"]

    with (
        connect(f"{here}/admin/monitor", additional_headers=bearer, proxy=None) as admin,
        connect(there, additional_headers=bearer, proxy=None) as client,
    ):
        next_of(client, "connection_established")
        admin.send(json.dumps({"action": "watch_live", "id": "1", "types": ["watched"], "events": []}))
        reply = next_of(admin, "reply")
        fairlead("send", "user:42", '{"type":"watched","content":"in the open"}')
        (item,) = next_of(admin, "live")["items"]

    assert (reply["replicas"], reply["content"]) == (2, True)
    assert "in the open" in item["content"]


def test_the_lines_to_paste_work(beside: Dev) -> None:
    env = environment() | {"XDG_RUNTIME_DIR": beside.facts["runtime"]}

    listener = subprocess.Popen(
        [*shlex.split(beside.facts["try"]["listen"]), "--count", "1", "--timeout", "30"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert listener.stderr is not None
    wait_until(lambda: "connected" in listener.stderr.readline(), SECONDS, "the listener is connected")
    subprocess.run(shlex.split(beside.facts["try"]["send"]), env=env, timeout=SECONDS, check=True, capture_output=True)

    assert "from a shell" in listener.communicate(timeout=SECONDS)[0]


def test_the_line_that_asks_is_answered_on_the_page(beside: Dev) -> None:
    env = environment() | {"XDG_RUNTIME_DIR": beside.facts["runtime"]}
    _, invitation = invite(beside.facts["pages"][0], ON_THE_PAGE, {})
    bearer = {"Authorization": f"Bearer {invitation['token']}"}

    with connect(beside.facts["sockets"][1], additional_headers=bearer, proxy=None) as ada:
        next_of(ada, "connection_established")
        line = shlex.split(beside.facts["try"]["ask"])
        asking = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        asked = next_of(ada, "task_step_result")
        ada.send(json.dumps({"action": "confirm", "callback_id": asked["callback_id"], "proceed": True}))
        out, _ = asking.communicate(timeout=SECONDS)

    assert asked["confirm"]["message"] == QUESTION
    assert (asking.returncode, out) == (Status.OK, f"{ON_THE_PAGE} says proceed\n")


def test_the_line_for_curl_gives_a_ticket(beside: Dev) -> None:
    command = beside.facts["try"]["curl"].split()
    request = urllib.request.Request(
        command[-1], headers={"Authorization": f"Bearer {beside.token}"}, method="POST", data=b""
    )

    with urllib.request.urlopen(request, timeout=10) as answer:
        ticket = json.load(answer)["ticket"]
    with connect(f"{beside.facts['sockets'][1]}?ticket={ticket}", proxy=None) as client:
        assert json.loads(client.recv(timeout=10))["user_id"] == "42"


def test_a_token_can_be_made_for_the_running_server(beside: Dev, fairlead: Fairlead) -> None:
    token = fairlead("token", "create", "--user", "43").out.strip()

    with connect(beside.facts["sockets"][0], additional_headers={"Authorization": f"Bearer {token}"}) as client:
        assert json.loads(client.recv(timeout=10))["user_id"] == "43"


def test_only_this_machine_can_connect(beside: Dev) -> None:
    ports = {int(url.rpartition(":")[2].partition("/")[0]) for url in beside.facts["sockets"]}
    loopback = "0100007F"

    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {line[1] for line in lines if line[3] == "0A" and int(line[1].partition(":")[2], 16) in ports}

    assert {address.partition(":")[0] for address in listening} == {loopback}


def test_the_page_is_served_and_asks_for_nothing_from_elsewhere(beside: Dev) -> None:
    for place in (beside.facts["pages"][0], f"{beside.facts['pages'][1]}demo"):
        with urllib.request.urlopen(place, timeout=10) as answer:
            policy = answer.headers["Content-Security-Policy"]
            page = answer.read().decode()

        assert "default-src 'none'" in policy
        assert "http" not in page.replace("http-equiv", "") and "//" not in page
        for asset in ("static/main.js", "static/css/page.css", "static/icon.svg", "dashboard/css/tokens.css"):
            assert f"demo/{asset}" in page
            assert urllib.request.urlopen(f"{beside.facts['pages'][0]}demo/{asset}", timeout=10).status == 200


def invite(place: str, user: object, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{place}demo/invitations", json.dumps({"user": user}).encode(), {"Content-Type": "application/json"} | headers
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_page_gets_tokens_and_the_addresses_of_both_replicas(beside: Dev) -> None:
    place = beside.facts["pages"][0]

    status, invitation = invite(place, "ada", {"Origin": place.rstrip("/")})

    assert status == 200
    for number, address in enumerate(invitation["sockets"]):
        subprotocols: Any = ["fairlead.v1.json", f"bearer.{invitation['token']}"]
        origin: Any = place.rstrip("/")
        with connect(f"{address}/ws", subprotocols=subprotocols, origin=origin, proxy=None) as client:
            greeting = json.loads(client.recv(timeout=10))
        assert greeting["user_id"] == "ada"
        assert f"{address}/ws" == beside.facts["sockets"][number]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "rebound.example"},
        {"Host": "127.0.0.1.evil.example"},
    ],
    ids=lambda headers: next(iter(headers.values())),
)
def test_other_sites_get_no_token(beside: Dev, headers: dict[str, str]) -> None:
    status, answer = invite(beside.facts["pages"][0], "ada", headers)

    assert status == 403
    assert "token" not in answer


@pytest.mark.parametrize("user", [None, 3, "", "a b", "x" * 2000, ["ada"]])
def test_an_invitation_for_nobody_is_refused(beside: Dev, user: object) -> None:
    assert invite(beside.facts["pages"][0], user, {})[0] in (413, 422)


def test_a_web_page_of_another_origin_cannot_connect(beside: Dev) -> None:
    evil: Any = "https://evil.example"
    bearer = {"Authorization": f"Bearer {beside.token}"}

    client = connect(beside.facts["sockets"][0], additional_headers=bearer, origin=evil, proxy=None)
    with client, pytest.raises(ConnectionClosed) as end:
        client.recv(timeout=10)

    assert end.value.rcvd is not None and end.value.rcvd.code == FORBIDDEN.code


# -- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_leaves_no_process_and_no_file(runtime: Path, number: signal.Signals) -> None:
    with running(runtime) as dev:
        everything = dev.all_processes()

        os.killpg(dev.process.pid, number)  # as a terminal does: to the whole foreground group

        assert dev.process.wait(timeout=SECONDS) == Status.OK
        assert len(everything) == 3 and all(map(ended, everything))
        assert not alive_in_group(dev.process.pid)
        assert not path().exists()
        assert list(runtime.glob("fairlead-valkey-*")) == []


def test_a_killed_parent_takes_everything_along(dev: Dev, fairlead: Fairlead) -> None:
    everything = dev.all_processes()

    dev.process.kill()
    dev.process.wait(timeout=SECONDS)

    wait_until(lambda: all(map(ended, everything)), SECONDS, "all children are gone")
    assert len(everything) == 3
    assert find() is None


def test_ctrl_c_while_starting_leaves_nothing(runtime: Path) -> None:
    process = launch(runtime, free_pair())
    wait_until(lambda: children_of(process.pid), SECONDS, "the first child runs")
    seen = children_of(process.pid)

    os.killpg(process.pid, signal.SIGINT)

    assert process.wait(timeout=SECONDS) == Status.OK
    assert all(map(ended, seen))
    assert list(runtime.glob("fairlead-valkey-*")) == []
    process.communicate(timeout=SECONDS)


def test_a_replica_that_is_killed_comes_back_and_clients_meet_again(dev: Dev) -> None:
    victim = max(dev.all_processes())
    os.kill(victim, signal.SIGKILL)
    bearer = {"Authorization": f"Bearer {dev.token}"}

    def greeted() -> bool:
        try:
            with connect(dev.facts["sockets"][1], additional_headers=bearer, proxy=None, open_timeout=5) as client:
                return bool(client.recv(timeout=5))
        except (OSError, ConnectionClosed, InvalidHandshake):
            return False

    wait_until(greeted, SECONDS, "the replica is back")
    assert victim not in dev.all_processes()


# -- when it cannot start ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1], ids=["first", "second"])
def test_a_taken_port_is_told_before_anything_is_started(fairlead: Fairlead, offset: int) -> None:
    port = free_pair()
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", port + offset))
        somebody.listen()

        outcome = fairlead("dev", "--port", str(port))

    assert outcome.status == Status.UNAVAILABLE
    assert f"port {port + offset} on 127.0.0.1 is taken" in outcome.err
    assert outcome.out == ""


def test_a_redis_that_is_given_is_used(redis_url: str, prefix: str, runtime: Path) -> None:
    process = subprocess.Popen(
        [*FAIRLEAD, "dev", "--port", str(free_pair()), "--json"],
        env=environment(redis_url=redis_url, prefix=prefix, log_format="json") | {"XDG_RUNTIME_DIR": str(runtime)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    told = announced_by(process)

    assert told["redis_url"] == redis_url
    assert len(children_of(process.pid)) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=SECONDS) == Status.OK
    process.communicate(timeout=SECONDS)


# -- what it says -----------------------------------------------------------------------------------------------------

READY = Ready(
    command=".venv/bin/fairlead",
    pages=("http://127.0.0.1:8000/", "http://127.0.0.1:8001/"),
    sockets=("ws://127.0.0.1:8000/ws", "ws://127.0.0.1:8001/ws"),
    redis_url="redis://127.0.0.1:7777/0",
    redis_is_ours=True,
    user="42",
    token="a.b.c",
    token_hours=24,
    warnings=("one thing", "another thing"),
)


def test_the_banner_tells_addresses_token_lines_and_warnings() -> None:
    text = banner(READY)

    for wanted in (*READY.sockets, READY.pages[0], READY.dashboard, READY.redis_url, READY.token, *READY.warnings):
        assert wanted in text
    for line in (READY.websocat, READY.curl, READY.send, READY.ask, READY.listen):
        assert line in text.splitlines()
    assert text.count("warning") == 2


def test_the_lines_survive_a_shell() -> None:
    assert shlex.split(READY.send) == [
        ".venv/bin/fairlead",
        "send",
        "user:42",
        '{"type":"hello","content":"from a shell"}',
    ]
    assert shlex.split(READY.websocat)[2] == "Authorization: Bearer a.b.c"


def test_programs_are_told_the_same() -> None:
    told = facts(READY)

    assert told["token"] == "a.b.c"
    assert told["dashboard"] == "http://127.0.0.1:8000/dashboard#token=a.b.c"
    assert told["try"]["send"] == READY.send  # type: ignore[index]
