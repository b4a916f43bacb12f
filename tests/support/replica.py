"""Real replica processes for tests: started on free ports, killed, frozen and restarted at will, their logs kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import TracebackType
from typing import Self

from fairlead_gateway.access.claims import GRANTS
from fairlead_gateway.access.minting import Wish, mint
from fairlead_gateway.processes import bound_to
from tests.support.redis import free_port

SECRET = "f3a1c5e7092b4d6880ac1e3f5d7b9024"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02


def token(user: str, *, role: str = "", ttl_seconds: int = 3600, **grants: Sequence[str]) -> str:
    """A token that replicas of these tests believe; into every session, topic … unless grants are named."""
    wish = Wish(user, role=role, ttl_seconds=ttl_seconds, grants=grants or dict.fromkeys(GRANTS, ("*",)))
    return mint(SECRET, wish)


def environment(**settings: object) -> dict[str, str]:
    """The environment of this process with no settings but these: ``max_connections=5``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "WEBSOCKET_"))}
    return inherited | {f"FAIRLEAD_{name.upper()}": str(value) for name, value in settings.items()}


def wait_until(check: Callable[[], object], seconds: float, what: str) -> None:
    """Return when *check* is true; an error that names *what* when it is not in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} seconds")
        time.sleep(POLL_SECONDS)


class Replica:
    """
    One ``fairlead serve`` process. A port is chosen at the first start and kept at the next.

    :param within: what is put in front of its command, such as a `tests.support.namespace.Namespace`'s.
    """

    def __init__(
        self,
        redis_url: str,
        prefix: str,
        *,
        name: str = "",
        port: int = 0,
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
        **settings: object,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port or free_port()
        self._within = within
        defaults: dict[str, object] = {"drain_linger_seconds": 0, "drain_seconds": 0.5}
        self._settings = defaults | {"jwt_secret": SECRET, "log_format": "json", "replica": name} | settings
        self._settings |= {"redis_url": redis_url, "prefix": prefix}
        handle, path = tempfile.mkstemp(prefix="fairlead-replica-", suffix=".log")
        os.close(handle)
        self._log = Path(path)
        self._log_start = 0
        self.process: subprocess.Popen[bytes] | None = None

    # -- where it is -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}/ws"

    @property
    def http(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def admin_port(self) -> int:
        """Where operators connect: the port of its settings, or the only one."""
        return int(str(self._settings.get("admin_port", 0))) or self.port

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """All that it has written, over all of its starts."""
        return self._log.read_text()

    def events(self) -> list[dict[str, object]]:
        """The log since the latest start, as far as it is JSON."""
        lines = self._log.read_bytes()[self._log_start :].decode().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it, and return when it is ready."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start it without waiting."""
        self._log_start = self._log.stat().st_size
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._within, sys.executable, "-m", "fairlead_gateway", "serve", *self._address],
                env=environment(**self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # The kernel binds a child to the thread that starts it, not to the process.
                preexec_fn=bound_to(os.getpid()) if current_thread() is main_thread() else None,
            )

    def wait_listening(self) -> None:
        """Return when it listens, whatever it thinks of Redis."""
        wait_until(self._listens, START_SECONDS, f"replica {self.name} listens; its log: {self.log[-2000:]}")

    def wait_ready(self) -> None:
        """Return when ``/readyz`` says yes."""
        self.wait_listening()
        wait_until(self.is_ready, START_SECONDS, f"replica {self.name} is ready; its log: {self.log[-2000:]}")

    def is_ready(self) -> bool:
        """What ``/readyz`` says now."""
        return self.status("/readyz") == 200

    def status(self, path: str) -> int:
        """The status that a GET of *path* is answered with; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self.http + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def stop(self) -> int:
        """End it with SIGTERM, and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=STOP_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=STOP_SECONDS)

    def restart(self) -> Self:
        """End it at once, and start it again on the same port."""
        self.kill()
        return self.start()

    def freeze(self) -> None:
        """Let it keep its sockets and do nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @property
    def _address(self) -> tuple[str, ...]:
        return "--host", self.host, "--port", str(self.port)

    def _listens(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"replica {self.name} ended with {self.process.returncode}: {self.log[-2000:]}")
        for event in self.events():
            if event["event"] == "listening":
                self.port = int(str(event["port"]))
                return True
        return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it if it runs, and forget its log."""
        self.kill()
        self._log.unlink(missing_ok=True)


@contextmanager
def replicas(count: int, redis_url: str, prefix: str, **settings: object) -> Iterator[list[Replica]]:
    """That many replicas named ``r1``, ``r2`` …, started at the same time, ready inside the block."""
    fleet = [Replica(redis_url, prefix, name=f"r{number}", **settings) for number in range(1, count + 1)]
    with ExitStack() as stack:
        for replica in fleet:
            stack.callback(replica.close)
            replica.launch()
        for replica in fleet:
            replica.wait_ready()
        yield fleet
