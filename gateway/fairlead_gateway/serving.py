"""One replica as a process: its listening socket, its server, its signals, its memory and its end."""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import structlog
import uvicorn

from fairlead_gateway import logs
from fairlead_gateway.app import create_app
from fairlead_gateway.assembly import wire_limits
from fairlead_gateway.listener import listening_socket
from fairlead_gateway.server import server_config
from fairlead_gateway.settings import Settings

log = structlog.get_logger(__name__)

SPARE_FILES: Final = 256
"""File descriptors beside those of clients."""

GC_THRESHOLDS: Final = (100_000, 50, 100)
"""Rare collections: looking through tens of thousands of lasting connections costs more than what is found."""


def serve(settings: Settings, *, supervised: bool = False) -> None:
    """Run one replica until a signal ends it. A *supervised* one shares its port, and leaves haste to its parent."""
    logs.configure(settings)
    allow_files(settings.max_connections + SPARE_FILES)
    listener = listening_socket(settings.host, settings.port, shared=supervised)
    config = server_config(create_app(settings), settings, wire_limits(settings))
    ReplicaServer(config, supervised=supervised).run(sockets=[listener])


def allow_files(wanted: int) -> None:
    """Raise the limit of open files to *wanted*, as far as the system permits; say so when it does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < reachable:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable < wanted:
        log.warning("file limit is below max_connections", limit=reachable, wanted=wanted)


def settle_memory() -> None:
    """Set aside what lives as long as the process, so that the collector does not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


class ReplicaServer(uvicorn.Server):
    """uvicorn's server with our signals: the first one ends it politely, the second one now."""

    def __init__(self, config: uvicorn.Config, *, supervised: bool) -> None:
        super().__init__(config)
        self._supervised = supervised

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle_memory()
        host, port = (sockets or [])[0].getsockname()[:2]
        log.info("listening", host=host, port=port, process=os.getpid())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping", connections=len(self.server_state.connections))
        await super().shutdown(sockets)
        log.info("stopped", process=os.getpid())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but an orderly end is exit status 0: the signals are not raised again afterwards."""
        ours = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, self.handle_exit) for number in ours}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # A service manager may signal the whole group and the supervisor forward it: twice the same wish, not haste.
        if self.should_exit and not self._supervised:
            os._exit(128 + sig)
        self.should_exit = True


if __name__ == "__main__":
    serve(Settings(), supervised=True)
