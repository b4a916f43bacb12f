"""Where a run happens: a Redis, cores set aside, and processes that are gone when it is over."""

from __future__ import annotations

import http.client
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis

from fairlead_gateway import embedded
from fairlead_gateway.bench import pinned
from fairlead_gateway.bench.machine import Cores, family
from fairlead_gateway.bench.worker import TooLate, Work, Worker, deadline_in, worker

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0

Child = subprocess.Popen[bytes]


class StartFailed(Exception):
    """A process that a run needs ended, or never became ready; the message holds what it said."""


class Store:
    """The Redis (or Valkey) in the path."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "redis" or not parts.hostname:
            raise ValueError("the bench publishes over plain TCP: give a URL such as redis://127.0.0.1:6379/0")
        self.url = url
        self.host, self.port = parts.hostname, parts.port or 6379
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.greeting = _auth(parts.username, parts.password)

    def answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def cpu_seconds(self) -> float:
        info = self.client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _auth(user: str | None, password: str | None) -> bytes:
    words = [word.encode() for word in ("AUTH", user, password) if word] if password else []
    return resp(*words) if words else b""


def resp(*words: bytes) -> bytes:
    """One command as it goes over the wire."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


@dataclass(frozen=True, slots=True)
class Server:
    """What is measured: where it listens, and the processes it consists of."""

    port: int
    pids: tuple[int, ...]


class Ground:
    """Starts what a run needs, each on its core."""

    store: Store

    def __init__(self, cores: Cores, directory: Path, ending: ExitStack) -> None:
        self.cores, self.directory = cores, directory
        self._ending = ending

    def meet_at(self, redis_url: str) -> None:
        """Wait until the Redis there answers, and use it."""
        self.store = Store(redis_url)
        self._ending.callback(self.store.client.close)
        wait_until(self.store.answers, _START_SECONDS, f"no Redis at {self.store.host}:{self.store.port}")

    def valkey(self) -> str:
        """The URL of a Valkey of our own."""
        port = embedded.free_port()
        command = embedded.command(port, self.directory)
        self.spawn(command.argv, command.env, measured=False)
        return f"redis://{embedded.HOST}:{port}/0"

    def spawn(self, argv: Sequence[str], environment: Mapping[str, str], *, measured: bool = True) -> Child:
        """Start *argv* on the server's core, or, if it is not to be measured, on the others."""
        cores = self.cores.server if measured else self.cores.load
        log = self.directory / f"{len(list(self.directory.iterdir()))}-{Path(argv[0]).name}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                pinned.command(cores, list(argv)),
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.directory,
            )
        self._ending.callback(_end, child)
        return child

    def serving(self, child: Child, port: int, path: str) -> Server:
        """The server that *child* is, as soon as an HTTP GET of *path* is answered with less than 500."""
        wait_until(lambda: _answers(child, port, path, self.directory), _START_SECONDS, f"no answer from {path}")
        return Server(port, family(child.pid))

    def worker(self, work: Work, name: str) -> Worker:
        """A process of the load."""
        return self._ending.enter_context(worker(work, self.cores.load, name))


@contextmanager
def ground(redis_url: str = "") -> Iterator[Ground]:
    """A place for a run, with a Valkey of its own unless *redis_url* names one."""
    cores = Cores.divided()
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="fairlead-bench-")))
        ending.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores.load)
        place = Ground(cores, directory, ending)
        place.meet_at(redis_url or place.valkey())
        yield place


def wait_until(happened: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Return as soon as *happened*, asked every 20 ms; `TooLate` with *otherwise* after *seconds*."""
    left = deadline_in(seconds)
    while not happened():
        if not left():
            raise TooLate(f"{otherwise} within {seconds:.0f} s")
        time.sleep(0.02)


def _answers(child: Child, port: int, path: str, directory: Path) -> bool:
    if child.poll() is not None:
        said = "\n".join(log.read_text(errors="replace")[-2000:] for log in sorted(directory.glob("*.log")))
        raise StartFailed(f"the server ended with {child.returncode} before it was ready:\n{said}")
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with suppress(OSError, http.client.HTTPException):
        asked.request("GET", path)
        return asked.getresponse().status < 500
    return False


def _end(child: Child) -> None:
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(_STOP_SECONDS)
