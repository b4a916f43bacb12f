"""One replica as a process: its listening socket, its server, its signals, its memory and its end."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Final, NamedTuple, cast

import structlog
import uvicorn

from fairlead_gateway import logs
from fairlead_gateway.assembly import wire_limits
from fairlead_gateway.listener import listening_socket, waiting_in
from fairlead_gateway.manager import WebSocketManager
from fairlead_gateway.server import BACKLOG, ServerTask, admin_config, server_config
from fairlead_gateway.settings import Settings
from fairlead_gateway.watchdog import Watchdog

log = structlog.get_logger(__name__)

SPARE_FILES: Final = 256
"""File descriptors beside those of clients."""

GC_THRESHOLDS: Final = (100_000, 50, 100)
"""Rare collections: looking through tens of thousands of lasting connections costs more than what is found."""

READY_POLL_SECONDS: Final = 0.02

LATECOMERS_SECONDS: Final = 0.2
"""How long clients that were accepted before the door was shut may take to say what they want, and still be let in."""


class Supervised(NamedTuple):
    """What a parent gives to a replica: file descriptors, -1 for none."""

    listener: int = -1
    """A bound socket that outlives the replica, so that no client that waits in it is lost when the replica ends."""
    admin_listener: int = -1
    """The same for operators: while a replica is replaced, the old and the new one answer on it."""
    ready: int = -1
    """A pipe that hears one byte once the replica is ready."""


def serve(settings: Settings, supervised: Supervised | None = None) -> None:
    """Run one replica until a signal ends it. A *supervised* one leaves haste to its parent."""
    logs.configure(settings)
    allow_files(settings.max_connections + SPARE_FILES)
    given = supervised or Supervised()
    with ExitStack() as sockets:
        listener = _listener(given.listener, settings.host, settings.port)
        sockets.enter_context(listener)
        admin_listener = None
        if settings.admin_port:
            admin_listener = _listener(given.admin_listener, settings.admin_host, settings.admin_port, "ADMIN_PORT")
            sockets.enter_context(admin_listener)
        manager = WebSocketManager(settings)
        logs.of_replica(manager.replica_id)
        config = server_config(manager.app, settings, wire_limits(settings))
        ReplicaServer(config, manager, supervised, admin_listener).run(sockets=[listener])


def _listener(lent: int, host: str, port: int, setting: str = "PORT") -> socket.socket:
    """The socket that a parent has *lent*, or a new one."""
    return socket.socket(fileno=lent) if lent >= 0 else listening_socket(host, port, setting=setting)


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
    """
    uvicorn's server with our signals: the first one moves its clients elsewhere and ends it, the second ends it now.

    uvicorn would close every socket at once (0.54); so it hears of the end when they have gone. While they move, nobody
    is accepted any more, and ``/healthz`` is answered on connections that are open already. The listener of operators,
    where there is one, stays open until everything else has ended.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        manager: WebSocketManager,
        supervised: Supervised | None,
        admin_listener: socket.socket | None = None,
    ) -> None:
        super().__init__(config)
        self._admin_listener = admin_listener
        self._admin: ServerTask | None = None
        self._manager = manager
        self._supervised = supervised
        self._leaves = False
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # Before uvicorn says that it has started: from then on a signal needs both.
        self._loop = asyncio.get_running_loop()
        self._listeners = sockets or []
        await super().startup(sockets)
        settle_memory()
        host, port = self._listeners[0].getsockname()[:2]
        log.info("listening", host=host, port=port, process=os.getpid())
        await self._open_to_operators()
        if seconds := self._manager.settings.watchdog_seconds:
            Watchdog(seconds).start()
        if self._supervised is not None and self._supervised.ready >= 0:
            self._tasks.append(self._loop.create_task(self._tell_when_ready(self._supervised.ready), name="ready"))

    async def _open_to_operators(self) -> None:
        manager, listener = self._manager, self._admin_listener
        if listener is not None:
            config = admin_config(manager.admin_app, manager.settings, wire_limits(manager.settings))
            self._admin = await ServerTask.start(config, [listener])
            host, port = listener.getsockname()[:2]
            log.info("listening to operators", host=host, port=port)
        manager.advise()

    async def _tell_when_ready(self, pipe: int) -> None:
        while self._manager.health_check()["status"] != "healthy":  # noqa: ASYNC110 - readiness depends on the time
            await asyncio.sleep(READY_POLL_SECONDS)
        with suppress(BrokenPipeError):  # a parent that no longer wants to know
            os.write(pipe, b"1")
        os.close(pipe)

    async def _leave(self) -> None:
        """Empty this replica, however that ends."""
        settings = self._manager.settings
        try:
            self._manager.turn_away()
            log.info("draining", connections=len(self._manager.pool), seconds=settings.drain_seconds)
            await asyncio.sleep(settings.drain_linger_seconds)
            await self._shut_the_door()
            await self._manager.drain()
        finally:
            self.should_exit = True

    async def _shut_the_door(self) -> None:
        """
        Accept nobody any more; who waits already is accepted and let in, and moves with the others.

        The kernel would reset whoever waits in a listener that is closed, though it has told them that they are
        connected. What remains is the time between the last look and the close: microseconds.
        """
        accepted = [client for listener in self._listeners for client in waiting_in(listener, BACKLOG)]
        for server in self.servers:
            server.close()
        talks = (self._loop.connect_accepted_socket(self._protocol, client) for client in accepted)
        await asyncio.gather(*talks, return_exceptions=True)  # who has left meanwhile fails alone
        await asyncio.sleep(LATECOMERS_SECONDS)

    def _protocol(self) -> asyncio.Protocol:
        """What uvicorn makes for each connection that it accepts by itself (0.54)."""
        make = cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping", connections=len(self.server_state.connections))
        await super().shutdown(sockets)
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("task failed", exc_info=ended)
        if self._admin is not None:
            await self._admin.stop(LATECOMERS_SECONDS)
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
        if self._leaves:
            if self._supervised is None:
                os._exit(128 + sig)
            return
        self._leaves = True
        if self.started:
            self._loop.call_soon_threadsafe(self._begin_to_leave)
        else:
            self.should_exit = True

    def _begin_to_leave(self) -> None:
        self._tasks.append(self._loop.create_task(self._leave(), name="drain"))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    for name in ("--listener", "--ready", "--admin-listener"):
        arguments.add_argument(name, type=int, default=-1)
    serve(Settings(), Supervised(**vars(arguments.parse_args())))
