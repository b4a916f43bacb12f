"""What the peers have in common."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.target import Target
from fairlead_gateway.embedded import free_port

_ROOT = Path(__file__).parents[3]


class Peer(Target, Protocol):
    """A target that may not be installed."""

    def missing(self) -> str:
        """What would have to be installed, or nothing."""


def missing_modules(*names: str) -> str:
    """Those of *names* that cannot be imported."""
    return ", ".join(name for name in names if find_spec(name) is None)


def start_uvicorn(ground: Ground, factory: str) -> Server:
    """One uvicorn worker with its fastest parts; *factory* makes the application."""
    port = free_port()
    options = {"--app-dir": str(_ROOT), "--port": str(port), "--log-level": "error", "--backlog": "4096"}
    quiet = {"--ws-ping-interval": "300", "--ws-ping-timeout": "600", "--loop": "uvloop"}
    argv = [part for option in (options | quiet).items() for part in option]
    child = ground.spawn(
        [sys.executable, "-m", "uvicorn", "--factory", factory, *argv], {"REDIS_URL": ground.store.url}
    )
    return ground.serving(child, port, "/")
