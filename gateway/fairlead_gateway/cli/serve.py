"""``fairlead serve``: one replica, or several that share a port."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import Annotated, Final

import structlog
import typer

from fairlead.names import Names
from fairlead.redis.shards import open_shards
from fairlead_gateway import logs
from fairlead_gateway.access.tokens import TokenVerifier
from fairlead_gateway.admin.alerts import limits
from fairlead_gateway.admin.receiver import receiver
from fairlead_gateway.cli.configured import load
from fairlead_gateway.cli.output import Status, Trouble
from fairlead_gateway.listener import PortTaken, listening_socket
from fairlead_gateway.preflight import SAME_PORT, objections, same_port
from fairlead_gateway.processes import STOPPING, Command, KeepsDying, Patience, until_stopped
from fairlead_gateway.rolling import Fleet
from fairlead_gateway.settings import PREFIX, Settings, unknown

log = structlog.get_logger(__name__)

REPLICA: Final = (sys.executable, "-P", "-m", "fairlead_gateway.serving")
"""How a supervised replica is started; what it shall be is in its environment."""

MAX_PORT: Final = 65535

SPARE_SECONDS: Final = 5.0
"""What a replica may take to end beyond the times for lingering and draining."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (FAIRLEAD_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (FAIRLEAD_PORT); 0 takes a free one.")] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1, max=256, help="Replica processes that share the port; each has a FAIRLEAD_ADMIN_PORT of its own."
        ),
    ] = 1,
) -> Status:
    """
    Serve until SIGTERM or Ctrl-C, which moves all clients elsewhere; a second one ends it now.

    SIGHUP ends one replica as SIGTERM does; several it replaces one at a time. Everything else is set by FAIRLEAD_
    variables.
    """
    settings = load(host=host, port=port)
    refuse_if_unsafe(settings)
    if _admin_port(settings, workers) > MAX_PORT:
        raise Trouble(f"FAIRLEAD_ADMIN_PORT: {workers} workers need as many ports from there on", Status.CONFIGURATION)
    if same_port(settings, workers):
        raise Trouble(f"refused to start: {SAME_PORT}", Status.CONFIGURATION)
    logs.configure(settings)
    if names := [f"{name} ({nearest} is one)" if nearest else name for name, nearest in unknown(os.environ).items()]:
        log.warning("variables that are no settings", unknown=names)
    try:
        _serve_one(settings) if workers == 1 else asyncio.run(_serve_many(settings, workers))
    except (PortTaken, KeepsDying) as error:
        raise Trouble(str(error), Status.UNAVAILABLE) from error
    return Status.OK


def refuse_if_unsafe(settings: Settings) -> None:
    """Go on only with settings that may be served."""
    if why := objections(settings):
        raise Trouble("refused to start: " + "; ".join(why), Status.CONFIGURATION)
    for variable, why_not in unusable(settings):
        raise Trouble(f"refused to start: {variable}: {why_not}", Status.CONFIGURATION)


def unusable(settings: Settings) -> Iterator[tuple[str, str]]:
    """The variables that a replica can do nothing with, and why."""
    for variable, use in _USES.items():
        try:
            use(settings)
        except ValueError as error:
            yield variable, str(error)


def _open_redis(settings: Settings) -> None:
    open_shards(settings.redis_url.get_secret_value(), Names(settings.prefix))


_USES: Final[Mapping[str, Callable[[Settings], object]]] = {
    "FAIRLEAD_JWT_*": TokenVerifier.from_settings,
    "FAIRLEAD_REDIS_URL": _open_redis,
    "FAIRLEAD_ALERTS": lambda settings: limits(settings.alerts),
    "FAIRLEAD_ALERT_WEBHOOK_URL": receiver,
}
"""What a replica does with settings that cannot be judged by looking at them; none of it connects to anything."""


def _serve_one(settings: Settings) -> None:
    for number in STOPPING:
        signal.signal(number, _not_begun)
    # Here, not above: the server weighs most of a second, and every other command does without it.
    from fairlead_gateway.serving import serve as serve_here

    serve_here(settings)


def _not_begun(number: int, frame: FrameType | None) -> None:
    """
    A signal that comes before there is anything to end.

    No exception: one that is raised while an import or a finalizer runs is often swallowed, and the signal with it.
    """
    os._exit(Status.OK)


async def _serve_many(settings: Settings, workers: int) -> None:
    listening_socket(settings.host, settings.port).close()  # somebody else's port shall not be shared unnoticed
    with ExitStack() as sockets:
        port, commands = settings.port, []
        for number in range(1, workers + 1):
            # Ours, and lent: clients that wait to be accepted when a replica ends are there for the next one.
            listener = sockets.enter_context(listening_socket(settings.host, port, shared=True))
            port = listener.getsockname()[1]
            lent = {"--listener": listener.fileno()}
            if admin_port := _admin_port(settings, number):
                for_operators = listening_socket(settings.admin_host, admin_port, setting="ADMIN_PORT")
                lent["--admin-listener"] = sockets.enter_context(for_operators).fileno()
            commands.append(_lent(replica(environment(settings, port, number), number), lent))
        patience = Patience(settings.drain_linger_seconds + settings.drain_seconds + SPARE_SECONDS)
        fleet = Fleet(commands, patience, sockets.pop_all())
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, fleet.roll)
        await until_stopped(fleet.run(), patience, [number for number in STOPPING if number != signal.SIGHUP])


def _lent(command: Command, files: Mapping[str, int]) -> Command:
    options = [word for name, file in files.items() for word in (name, str(file))]
    return replace(command, argv=(*command.argv, *options), fds=tuple(files.values()))


def _admin_port(settings: Settings, number: int) -> int:
    """The port for operators of the replica with this *number*: each has its own, the first that of the settings."""
    return settings.admin_port and settings.admin_port + number - 1


def replica(env: Mapping[str, str], number: int) -> Command:
    """How to start a replica of the settings in *env*."""
    return Command(f"replica {number}", REPLICA, env)


def environment(settings: Settings, port: int, number: int) -> dict[str, str]:
    """The environment of the replica with this *number*, on *port*."""
    chosen = {"HOST": settings.host, "PORT": str(port), "ADMIN_PORT": str(_admin_port(settings, number))}
    if settings.replica:
        chosen["REPLICA"] = f"{settings.replica}-{number}"
    return os.environ | {f"{PREFIX}{name}": value for name, value in chosen.items()}
