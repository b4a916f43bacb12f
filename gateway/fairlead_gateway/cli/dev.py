"""``fairlead dev``: everything at once on one machine, for as long as the terminal stays open."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from fairlead.names import checked_id
from fairlead_gateway import logs
from fairlead_gateway.access.minting import new_secret
from fairlead_gateway.cli.banner import Ready, banner, facts
from fairlead_gateway.cli.config import shown
from fairlead_gateway.cli.configured import is_set, load
from fairlead_gateway.cli.devfile import DevServer, announced
from fairlead_gateway.cli.output import Json, Status, Trouble, say_json
from fairlead_gateway.cli.serve import refuse_if_unsafe, replica
from fairlead_gateway.cli.token import DEVELOPER_SECONDS, everything, signed
from fairlead_gateway.embedded import NoServer, valkey
from fairlead_gateway.listener import PortTaken, listening_socket
from fairlead_gateway.preflight import insecure_defaults
from fairlead_gateway.processes import Command, KeepsDying, Patience, running, until, until_stopped
from fairlead_gateway.settings import PREFIX, Settings

HOST: Final = "127.0.0.1"
REPLICAS: Final = 2
READY_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 5.0

_PAGE_IS_OPEN: Final = "the page gives a token to any program of this machine that asks"
_REDIS_IS_OPEN: Final = "the embedded Valkey has no password, and forgets everything when it stops"


class NotReady(Exception):
    """A replica runs, but does not become ready."""


def dev(
    port: Annotated[
        int, typer.Option(min=1, max=65534, help="Port of the first replica; the second has the next.")
    ] = 8000,
    user: Annotated[str, typer.Option(help="Whom the developer's token is for.")] = "42",
    as_json: Json = False,
) -> Status:
    """
    Start an embedded Valkey and two replicas, and print a token and lines to paste.

    With FAIRLEAD_REDIS_URL set, that Redis is used instead. Ctrl-C ends everything.
    """
    checked_id(user, "user")
    settings = load(host=HOST)
    logs.configure(settings)
    try:
        asyncio.run(_develop(settings, range(port, port + REPLICAS), user, as_json))
    except (PortTaken, NoServer, NotReady, KeepsDying) as error:
        raise Trouble(str(error), Status.UNAVAILABLE) from error
    return Status.OK


async def _develop(base: Settings, ports: range, user: str, as_json: bool) -> None:
    for port in ports:
        listening_socket(HOST, port).close()
    patience = Patience(GRACE_SECONDS)
    await until_stopped(_run(base, ports, user, as_json, patience), patience)


async def _run(base: Settings, ports: range, user: str, as_json: bool, patience: Patience) -> None:
    async with _redis(base, patience) as redis_url:
        settings = _settings(base, redis_url, ports)
        refuse_if_unsafe(settings)
        async with running(_replicas(settings, ports), patience):
            await _until_ready(ports)
            with announced(_server(settings, ports)):
                _tell(_ready(settings, ports, user), as_json)
                await asyncio.Event().wait()


@asynccontextmanager
async def _redis(base: Settings, patience: Patience) -> AsyncIterator[str]:
    """The address of the operator's Redis, or of one that lives as long as the block."""
    if is_set("redis_url"):
        yield base.redis_url.get_secret_value()
        return
    async with valkey(patience) as url:
        yield url


def _settings(base: Settings, redis_url: str, ports: range) -> Settings:
    """What the environment says, and what makes the page work: each replica is a foreign origin to the other."""
    origins = tuple(f"http://{name}:{port}" for port in ports for name in (HOST, "localhost"))
    return load(
        host=HOST,
        admin_port=0,
        redis_url=redis_url,
        jwt_secret=base.jwt_secret.get_secret_value() or new_secret(),
        allowed_origins=(*base.allowed_origins, *origins),
        demo=_pages(ports),
        live_content=None if is_set("live_content") else True,
    )


def _pages(ports: range) -> tuple[str, ...]:
    return tuple(f"http://{HOST}:{port}" for port in ports)


def _replicas(settings: Settings, ports: range) -> list[Command]:
    return [replica(_environment(settings, port), number) for number, port in enumerate(ports, 1)]


def _environment(settings: Settings, port: int) -> Mapping[str, str]:
    chosen = {
        "HOST": HOST,
        "PORT": str(port),
        "ADMIN_PORT": "0",
        "REPLICA": f"dev-{port}",
        "DRAIN_LINGER_SECONDS": "0",
        "DRAIN_SECONDS": "1",
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "ALLOWED_ORIGINS": ",".join(settings.allowed_origins),
        "DEMO": ",".join(settings.demo),
        "LIVE_CONTENT": str(settings.live_content),
    }
    return os.environ | {f"{PREFIX}{name}": value for name, value in chosen.items()}


async def _until_ready(ports: range) -> None:
    for port in ports:
        try:
            await until(partial(_is_ready, port), READY_SECONDS)
        except TimeoutError as error:
            raise NotReady(f"the replica on port {port} is not ready after {READY_SECONDS:g} seconds") from error


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(f"GET /readyz HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


def _server(settings: Settings, ports: range) -> DevServer:
    redis_url, secret = settings.redis_url.get_secret_value(), settings.jwt_secret.get_secret_value()
    return DevServer(os.getpid(), redis_url, settings.prefix, secret, _sockets(ports))


def _sockets(ports: range) -> tuple[str, ...]:
    return tuple(f"ws://{HOST}:{port}/ws" for port in ports)


def _tell(ready: Ready, as_json: bool) -> None:
    say_json(facts(ready)) if as_json else print(banner(ready), flush=True)


def _ready(settings: Settings, ports: range, user: str) -> Ready:
    ours = not is_set("redis_url")
    return Ready(
        command=_command(),
        pages=tuple(f"{page}/" for page in _pages(ports)),
        sockets=_sockets(ports),
        redis_url=shown("redis_url", settings.redis_url),
        redis_is_ours=ours,
        user=user,
        token=signed(settings, everything(user, settings, role="admin")),
        token_hours=DEVELOPER_SECONDS // 3600,
        warnings=(*_chosen_risks(settings), _PAGE_IS_OPEN, *([_REDIS_IS_OPEN] if ours else [])),
    )


def _chosen_risks(settings: Settings) -> list[str]:
    """What the developer set, and could not serve to others."""
    return insecure_defaults(settings.model_copy(update={"demo": ()}))


def _command() -> str:
    """How this program was called, so that the lines to paste work where it is not on the path."""
    called = Path(sys.argv[0])
    if shutil.which("fairlead") == str(called.resolve()) or shutil.which("fairlead") == str(called):
        return "fairlead"
    return (
        shlex.quote(str(called)) if called.name == "fairlead" else f"{shlex.quote(sys.executable)} -m fairlead_gateway"
    )
