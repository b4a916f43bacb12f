"""A server inside an event loop that is running already, for `WebSocketManager.start_server`."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import uvicorn
from starlette.types import ASGIApp

from fairlead_gateway.edge.door import door_class
from fairlead_gateway.edge.protocol import protocol_class
from fairlead_gateway.settings import Settings
from fairlead_gateway.wire.limits import WireLimits

BACKLOG: Final = 4096
"""Connections that may wait to be accepted: a whole replica's clients come back at once."""

KEPT_FILES: Final = 64
"""File descriptors that clients do not get, or a quarter of a low limit; operators may have half of them."""

GRACE_SECONDS: Final = 1
"""What the server waits for closes to be finished; by then its sockets have been moved, or cut off."""


def server_config(app: ASGIApp, settings: Settings, limits: WireLimits) -> uvicorn.Config:
    """What uvicorn is told; what it would log, check or limit by itself is done better elsewhere."""
    return _config(app, settings, limits, settings.host, settings.port, _files(KEPT_FILES), "on")


def admin_config(app: ASGIApp, settings: Settings, limits: WireLimits) -> uvicorn.Config:
    """The same for the listener of operators, who shall see what is wrong when clients have taken all files."""
    host, port = settings.admin_host, settings.admin_port
    return _config(app, settings, limits, host, port, _files(KEPT_FILES // 2), "off")


def _config(
    app: ASGIApp,
    settings: Settings,
    limits: WireLimits,
    host: str,
    port: int,
    files: int,
    lifespan: Literal["on", "off"],
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=door_class(settings.header_timeout_seconds, files),
        ws=protocol_class(limits),
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _files(kept: int) -> int:
    """How many of those that this process may have open now are there for whoever connects."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - min(kept, limit // 4)


class _Embedded(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the application."""
        yield


class ServerTask:
    """A running server; `port` is the one it really got."""

    def __init__(self, server: uvicorn.Server, task: asyncio.Task[None]) -> None:
        self._server = server
        self._task = task
        self.port = int(server.servers[0].sockets[0].getsockname()[1])

    @classmethod
    async def start(cls, config: uvicorn.Config, sockets: list[socket.socket] | None = None) -> ServerTask:
        """
        Serve, and return when clients can connect.

        :param sockets: to listen on instead of the host and port of *config*.
        :raises RuntimeError: the server did not start, for instance because the port is taken.
        """
        server = _Embedded(config)
        task = asyncio.get_running_loop().create_task(_serve(server, sockets), name="server")
        while not server.started:
            if task.done():
                error = RuntimeError(f"the server did not start on {config.host}:{config.port}; see its log")
                raise error from task.exception()
            await asyncio.sleep(0.01)
        return cls(server, task)

    async def stop(self, linger_seconds: float = 0.0) -> None:
        """End it, and wait until it has ended; who was accepted just before may ask for *linger_seconds* more."""
        for listener in self._server.servers:
            listener.close()
        try:
            await asyncio.sleep(linger_seconds)
        finally:
            self._server.should_exit = True
        await self._task


async def _serve(server: uvicorn.Server, sockets: list[socket.socket] | None) -> None:
    """uvicorn ends the whole program when it cannot start (0.54)."""
    try:
        await server.serve(sockets)
    except SystemExit as error:
        raise RuntimeError(f"uvicorn gave up with exit status {error.code}") from error
