"""The command itself: what is looked at, in which order, and how it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Final

import typer

from fairlead.redis.address import shown
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.devfile import DevServer
from fairlead_gateway.cli.doctor.finding import Finding, Verdict, skipped, within, wrong
from fairlead_gateway.cli.doctor.gateway import gateway_findings
from fairlead_gateway.cli.doctor.handshake import Target
from fairlead_gateway.cli.doctor.machine import files_of, settings_of, version
from fairlead_gateway.cli.doctor.redis import FAILS, alive, redis_findings
from fairlead_gateway.cli.doctor.socket import USER, http_of, socket_findings
from fairlead_gateway.cli.output import Json, Status, Trouble, say, say_json
from fairlead_gateway.cli.token import everything, signed
from fairlead_gateway.settings import Settings

WHOLE_SECONDS: Final = 60.0
"""For all that is done with one part, beyond the silence that was asked for."""

_ORDER: Final[tuple[Verdict, ...]] = ("wrong", "advice", "skipped", "good")


def doctor(
    url: Annotated[str, typer.Option(help="WebSocket address that clients use: wss://example.org/ws.")] = "",
    token: Annotated[str, typer.Option(help="A token to connect with; one is made with the configured secret.")] = "",
    origin: Annotated[str, typer.Option(help="Connect as a page of this origin does: https://app.example.org.")] = "",
    timeout: Annotated[float, typer.Option(min=0.5, help="Seconds that each check may take.")] = 5.0,
    idle: Annotated[
        float, typer.Option(min=0, help="Also be silent for so many seconds, to find who cuts that.")
    ] = 0.0,
    as_json: Json = False,
) -> Status:
    """
    Look for what is wrong: settings, Redis, gateway, and the way of a WebSocket through your proxy.

    Status 0 when nothing is wrong (advice is no fault), 1 when something is. Nothing is changed; one message is
    sent, to a user called fairlead-doctor, or with --token to its own connection alone.
    """
    found: list[Finding] = []
    asyncio.run(_look(found, url, token, origin, timeout, idle, tells=not as_json))
    counted = Counter(finding.verdict for finding in found)
    if as_json:
        counts: dict[str, int] = {verdict: counted[verdict] for verdict in _ORDER}
        say_json({"ok": not counted["wrong"], **counts, "findings": [finding.as_json() for finding in found]})
    else:
        say("")
        say(", ".join(f"{counted[verdict]} {verdict}" for verdict in _ORDER if counted[verdict]))
    return Status.NO if counted["wrong"] else Status.OK


async def _look(
    found: list[Finding], url: str, token: str, origin: str, seconds: float, idle: float, *, tells: bool
) -> None:
    """Fill *found*, and tell each as it is found."""

    def take(*findings: Finding) -> None:
        found.extend(findings)
        if tells:
            for finding in findings:
                for line in _lines(finding):
                    say(line)

    take(*version())
    settings, server = _settings(take)
    known = None
    if settings is not None:
        if server is None:
            take(*settings_of(settings), *files_of(settings))
        address = shown(settings.redis_url.get_secret_value())
        of_redis = partial(redis_findings, settings, address, seconds)
        take(*(some := await within(WHOLE_SECONDS, "redis", of_redis, FAILS)))
        if not any(one.check == "redis" and one.verdict == "wrong" for one in some):
            known = await alive(settings)
    sockets = _sockets(url, settings, server)
    if not sockets:
        take(skipped("gateway", "no address: say --url"))
        return
    take(*await gateway_findings(dict.fromkeys(http_of(one) for one in sockets), seconds))
    made = "" if token or settings is None else _made(settings)
    target = Target(sockets[0], token or made, not token, origin, seconds, idle, is_public=bool(url))
    usable = settings if known is not None else None
    of_socket = partial(socket_findings, target, usable, known)
    take(*await within(WHOLE_SECONDS + idle, "handshake", of_socket, ()))


def _settings(take: Callable[..., None]) -> tuple[Settings | None, DevServer | None]:
    try:
        return reachable()
    except Trouble as trouble:
        take(wrong("settings", str(trouble), "correct it; `fairlead config env` says what each may be"))
        return None, None


def _sockets(url: str, settings: Settings | None, server: DevServer | None) -> tuple[str, ...]:
    if url:
        return (url,)
    if server is not None:
        return server.urls
    return () if settings is None else (f"ws://{settings.host}:{settings.port}/ws",)


def _made(settings: Settings) -> str:
    """A token of our own; empty where these settings have no secret to sign with."""
    try:
        return signed(settings, everything(USER, settings))
    except Trouble:
        return ""


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.verdict:<8}{finding.check:<13}{finding.text}"
    if finding.todo:
        yield f"{'':<8}{'':<13}→ {finding.todo}"
