"""Replica processes: how they start, share a port, come back, and end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from fairlead_gateway.cli.output import Status
from tests.support.processes import alive_in_group, children_of, ended
from tests.support.redis import Server, free_port
from tests.support.replica import SECRET, Replica, environment, token, wait_until

SECONDS = 60.0


def client(url: str, user: str = "42") -> ClientConnection:
    return connect(url, additional_headers={"Authorization": f"Bearer {token(user)}"}, proxy=None)


@pytest.fixture
def fleet(redis_url: str, prefix: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``fairlead serve --workers 2`` in a process group of its own."""
    env = environment(redis_url=redis_url, prefix=prefix, jwt_secret=SECRET, replica="w", log_format="json")
    env |= {"FAIRLEAD_DRAIN_LINGER_SECONDS": "0", "FAIRLEAD_DRAIN_SECONDS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fairlead_gateway", "serve", "--port", str(free_port()), "--workers", "2"],
        env=env,
        stdout=(tmp_path / "log").open("wb"),
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    wait_until(lambda: listening(tmp_path) >= 2, SECONDS, "two workers listen")
    yield process
    for pid in (*children_of(process.pid), process.pid):
        if not ended(pid):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=SECONDS)


def listening(folder: Path) -> int:
    return (folder / "log").read_text().count('"event":"listening"')


def port_of(process: subprocess.Popen[bytes]) -> int:
    assert isinstance(process.args, list)
    return int(process.args[process.args.index("--port") + 1])


def connected_workers(port: int) -> set[str]:
    """The names of the replicas that answer on *port*."""
    names = set()
    for _ in range(40):
        with client(f"ws://127.0.0.1:{port}/ws") as socket_:
            names.add(str(socket_.recv(timeout=10)).partition('"replica":"')[2][:3])
    return names


# -- one replica ------------------------------------------------------------------------------------------------------


def test_sigterm_ends_a_replica_in_order(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix) as replica, client(replica.url) as socket_:
        socket_.recv(timeout=10)

        assert replica.stop() == 0
        with pytest.raises(ConnectionClosed) as end:
            socket_.recv(timeout=10)

    assert end.value.rcvd is not None and end.value.rcvd.code == 4200


def test_a_client_that_reads_nothing_does_not_hold_up_the_end(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix) as replica, client(replica.url) as socket_:
        socket_.recv(timeout=10)

        # Neither the close frame is answered nor the end of the stream: `stop` fails after its deadline.
        socket_.protocol.receive_data = lambda data: None  # type: ignore[method-assign]

        assert replica.stop() == 0


def test_a_second_signal_ends_a_replica_now(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix) as replica:
        replica.freeze()
        os.kill(replica.pid, signal.SIGTERM)
        os.kill(replica.pid, signal.SIGINT)
        replica.thaw()

        assert replica.process is not None
        assert replica.process.wait(timeout=10) in (128 + signal.SIGTERM, 128 + signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_before_anything_has_started_ends_it_in_order(prefix: str, number: signal.Signals) -> None:
    replica = Replica(f"redis://127.0.0.1:{free_port()}/0", prefix)
    replica.launch()
    try:
        wait_until(lambda: catches(replica.pid, signal.SIGHUP), SECONDS, "it listens to signals")
        began = time.monotonic()

        os.kill(replica.pid, number)

        assert replica.process is not None
        assert replica.process.wait(timeout=10) == 0
        assert time.monotonic() - began < 3
        assert "Traceback" not in replica.log and "AttributeError" not in replica.log
    finally:
        replica.close()


def test_a_signal_is_not_lost_where_exceptions_are() -> None:
    program = """
import os, signal
from fairlead_gateway.cli.serve import _not_begun

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError

signal.signal(signal.SIGINT, _not_begun)
Finalized()
raise SystemExit("it goes on")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("state", ["away", "hangs"])
def test_a_signal_while_redis_does_not_answer_ends_it_in_order(own_server: Server, prefix: str, state: str) -> None:
    own_server.stop() if state == "away" else own_server.freeze()
    replica = Replica(own_server.url, prefix)
    replica.launch()
    try:
        replica.wait_listening()
        began = time.monotonic()

        assert replica.stop() == 0
        assert time.monotonic() - began < 5
    finally:
        replica.close()


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether *pid* has a handler of its own for this signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_a_variable_that_is_no_setting_is_told_once_at_the_start(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, max_conections=5, test_scale=1) as replica:
        (told,) = [event for event in replica.events() if event["event"] == "variables that are no settings"]

    assert told["unknown"] == ["FAIRLEAD_MAX_CONECTIONS (FAIRLEAD_MAX_CONNECTIONS is one)"]


def test_a_taken_port_is_told_in_one_line(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix) as replica:
        said = subprocess.run(
            [sys.executable, "-m", "fairlead_gateway", "serve", "--port", str(replica.port)],
            env=environment(redis_url=redis_url, prefix=prefix, jwt_secret=SECRET),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    assert said.returncode == Status.UNAVAILABLE
    assert said.stderr.strip() == (
        f"fairlead: port {replica.port} on 127.0.0.1 is taken: stop what listens there, or choose another with --port"
    )


def test_a_token_never_reaches_the_log(redis_url: str, prefix: str) -> None:
    canary = token("canary")

    with Replica(redis_url, prefix, log_level="debug", allow_query_token=True) as replica:
        for url in (f"{replica.url}?token={canary}", f"{replica.url}?ticket={canary}"):
            with connect(url, proxy=None) as socket_, suppress(ConnectionClosed):
                socket_.recv(timeout=10)
        with connect(replica.url, subprotocols=["fairlead.v1.json", f"bearer.{canary}"], proxy=None) as socket_:  # type: ignore[list-item]
            socket_.recv(timeout=10)
        with client(replica.url, "canary") as socket_:
            socket_.recv(timeout=10)
        replica.stop()

        assert '"user_id":"canary"' in replica.log
        assert canary not in replica.log and canary.rpartition(".")[2] not in replica.log


def test_open_files_are_allowed_for_all_connections(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, max_connections=2000) as replica:
        limits = Path(f"/proc/{replica.pid}/limits").read_text()

    soft = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3]
    assert int(soft) >= 2000


def test_accepted_sockets_are_given_up_by_the_kernel_when_nothing_is_acknowledged() -> None:
    from fairlead_gateway.listener import UNACKNOWLEDGED_MS, listening_socket

    with listening_socket("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNACKNOWLEDGED_MS


# -- several that share a port ----------------------------------------------------------------------------------------


def test_workers_share_the_port_and_are_replicas_of_their_own(fleet: subprocess.Popen[bytes]) -> None:
    assert connected_workers(port_of(fleet)) == {"w-1", "w-2"}


def test_a_worker_that_is_killed_comes_back(fleet: subprocess.Popen[bytes], tmp_path: Path) -> None:
    victim = children_of(fleet.pid)[0]

    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: listening(tmp_path) >= 3, SECONDS, "a new worker listens")

    assert victim not in children_of(fleet.pid)
    assert connected_workers(port_of(fleet)) == {"w-1", "w-2"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_all_workers_and_leaves_nothing(fleet: subprocess.Popen[bytes], number: signal.Signals) -> None:
    workers = children_of(fleet.pid)

    fleet.send_signal(number)

    assert fleet.wait(timeout=SECONDS) == 0
    assert len(workers) == 2 and all(map(ended, workers))


def test_a_signal_to_the_whole_group_ends_all_in_order(fleet: subprocess.Popen[bytes], tmp_path: Path) -> None:
    workers = children_of(fleet.pid)

    os.killpg(fleet.pid, signal.SIGTERM)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)

    assert fleet.wait(timeout=SECONDS) == 0
    assert not alive_in_group(fleet.pid)
    assert (tmp_path / "log").read_text().count('"event":"stopped"') == 2


def test_workers_die_with_a_supervisor_that_is_killed(fleet: subprocess.Popen[bytes]) -> None:
    workers = children_of(fleet.pid)

    fleet.kill()
    fleet.wait(timeout=SECONDS)

    wait_until(lambda: all(map(ended, workers)), SECONDS, "the workers are gone")


def test_a_second_signal_does_not_wait_for_a_worker_that_hangs(fleet: subprocess.Popen[bytes]) -> None:
    workers = children_of(fleet.pid)
    os.kill(workers[0], signal.SIGSTOP)

    fleet.terminate()
    wait_until(lambda: ended(workers[1]), SECONDS, "the other worker has ended")
    fleet.terminate()

    assert fleet.wait(timeout=10) == 0
    assert all(map(ended, workers))


def test_sighup_replaces_all_workers_and_no_connection_fails(fleet: subprocess.Popen[bytes], tmp_path: Path) -> None:
    before, port = set(children_of(fleet.pid)), port_of(fleet)
    attempts, most = 0, 0
    deadline = time.monotonic() + SECONDS

    fleet.send_signal(signal.SIGHUP)
    while '"event":"rolled"' not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert probe.recv(64).startswith(b"HTTP/1.1 200")
        attempts += 1
        most = max(most, len(children_of(fleet.pid)))
        time.sleep(0.005)

    after = set(children_of(fleet.pid))
    assert len(after) == 2 and not before & after
    assert most <= 3, "one at a time"
    assert attempts > 50


def test_sigterm_during_a_roll_ends_everything_in_order(fleet: subprocess.Popen[bytes], tmp_path: Path) -> None:
    fleet.send_signal(signal.SIGHUP)
    wait_until(lambda: len(children_of(fleet.pid)) == 3, SECONDS, "a successor is being started")
    workers = children_of(fleet.pid)

    fleet.terminate()

    assert fleet.wait(timeout=SECONDS) == 0
    assert all(map(ended, workers))
    assert '"event":"rolled"' not in (tmp_path / "log").read_text()


def test_a_successor_that_dies_leaves_the_old_worker_in_place(fleet: subprocess.Popen[bytes], tmp_path: Path) -> None:
    before = children_of(fleet.pid)
    fleet.send_signal(signal.SIGHUP)
    wait_until(lambda: len(children_of(fleet.pid)) == 3, SECONDS, "a successor is being started")

    os.kill((set(children_of(fleet.pid)) - set(before)).pop(), signal.SIGKILL)

    wait_until(lambda: '"event":"roll given up' in (tmp_path / "log").read_text(), SECONDS, "the roll is given up")
    assert children_of(fleet.pid) == before
    assert connected_workers(port_of(fleet)) == {"w-1", "w-2"}

    fleet.send_signal(signal.SIGHUP)

    wait_until(lambda: '"event":"rolled"' in (tmp_path / "log").read_text(), SECONDS, "the next roll works")
    assert not {*before} & {*children_of(fleet.pid)}


def test_sigterm_while_an_old_worker_drains_moves_everybody(fleet: subprocess.Popen[bytes], tmp_path: Path) -> None:
    port = port_of(fleet)
    with ExitStack() as stack:
        clients = [stack.enter_context(client(f"ws://127.0.0.1:{port}/ws", f"u{at}")) for at in range(20)]
        fleet.send_signal(signal.SIGHUP)
        wait_until(lambda: '"event":"draining"' in (tmp_path / "log").read_text(), SECONDS, "an old worker drains")
        workers = children_of(fleet.pid)

        fleet.terminate()

        wait_until(lambda: refuses(port), SECONDS, "newcomers are refused")
        assert fleet.poll() is None, "they are refused at once, not at the end"
        for one in clients:
            with pytest.raises(ConnectionClosed) as end:
                while one.recv(timeout=10):
                    pass
            assert end.value.rcvd is not None and end.value.rcvd.code == 4200

    assert fleet.wait(timeout=SECONDS) == 0
    assert len(workers) == 3 and all(map(ended, workers))


def refuses(port: int) -> bool:
    """Whether nobody listens on *port*."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return False
    except ConnectionRefusedError:
        return True


def test_a_port_of_somebody_else_is_not_shared(fleet: subprocess.Popen[bytes], redis_url: str, prefix: str) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "fairlead_gateway", "serve", "--workers", "2", "--port", str(port_of(fleet))],
        env=environment(redis_url=redis_url, prefix=prefix, jwt_secret=SECRET),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert said.returncode == Status.UNAVAILABLE
    assert "is taken" in said.stderr
