"""The Nginx configuration that we ship, run by a real Nginx in front of local replicas."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.redis import free_port
from tests.support.replica import wait_until

SHIPPED = Path(__file__).parents[2] / "nginx" / "nginx.conf"
BINARY = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
START_SECONDS = 20.0


def shipped() -> str:
    """The text of the configuration."""
    return SHIPPED.read_text()


def directive(name: str) -> str:
    """The arguments of the directive *name*, which must be there exactly once."""
    found: list[str] = re.findall(rf"^\s*{re.escape(name)}\b\s*([^;]*);", shipped(), re.MULTILINE)
    (arguments,) = found
    return arguments


def seconds(name: str) -> float:
    """A time such as ``75s`` or ``10m`` in seconds."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", directive(name)).groups()  # type: ignore[union-attr]
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def rendered(
    folder: Path, ports: tuple[int, int], upstreams: Sequence[int], operators: Sequence[int], farewell: str = ""
) -> str:
    """
    What we ship, with other addresses: *ports* to listen on for clients and for operators, replicas on *upstreams*, and
    on the ports of *operators*; files below *folder*.

    One process that stays in the foreground is all that a test needs; everything else is as shipped.

    :param farewell: how long old workers live after a reload, as ``1s``, where it should not be as shipped.
    """
    text = shipped().replace("/tmp/nginx", str(folder / "nginx")).replace("/dev/stdout", str(folder / "access.log"))
    text = text.replace("/dev/stderr", str(folder / "error.log"))
    for shipped_port, port in zip((8080, 8081), ports, strict=True):
        text = re.sub(rf"listen {shipped_port}\b", f"listen 127.0.0.1:{port}", text)
    for number, (upstream, operator) in enumerate(zip(upstreams, operators, strict=True), 1):
        text = text.replace(f"replica-{number}:8000", f"127.0.0.1:{upstream}")
        text = text.replace(f"replica-{number}:9000", f"127.0.0.1:{operator}")
    if farewell:
        text = text.replace(f"worker_shutdown_timeout {directive('worker_shutdown_timeout')};", "")
        text = f"worker_shutdown_timeout {farewell};\n{text}"
    return text.replace("worker_processes auto;", "worker_processes 2;\ndaemon off;")


class Nginx:
    """
    A running Nginx in front of the replicas on *upstreams*; *farewell* as in `rendered`.

    :param operators: where each of them serves operators, if not in the same place.
    """

    def __init__(self, upstreams: Sequence[int], *, operators: Sequence[int] = (), farewell: str = "") -> None:
        self.port, self.admin_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="fairlead-nginx-"))
        self.config = self.folder / "nginx.conf"
        ports = (self.port, self.admin_port)
        self.config.write_text(rendered(self.folder, ports, upstreams, operators or upstreams, farewell))
        # Run by root, its workers are another user, who writes temporary files below.
        self.folder.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_http(self) -> str:
        """Where operators come in."""
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()

    def test(self) -> subprocess.CompletedProcess[str]:
        """``nginx -t`` on what would be run."""
        return subprocess.run([*self._command(), "-t"], capture_output=True, text=True, timeout=30, check=False)

    def reload(self) -> None:
        """Replace the workers; the old ones keep their connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL)
        wait_until(self._answers, START_SECONDS, f"nginx listens; {self._errors()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        assert BINARY is not None
        return [BINARY, "-p", str(self.folder), "-c", str(self.config), "-e", str(self.folder / "error.log")]

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"nginx ended: {self._errors()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _errors(self) -> str:
        log = self.folder / "error.log"
        return log.read_text() if log.exists() else ""
