"""``fairlead trace``: where one message has passed, as the replicas remember it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Annotated, Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import typer

from fairlead.format.messages import checked_message_id
from fairlead.names import checked_channel
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.doctor.faults import of_error
from fairlead_gateway.cli.output import Json, Status, Trouble, note, say_json, table
from fairlead_gateway.cli.token import everything, signed
from fairlead_gateway.logs import printable
from fairlead_gateway.preflight import is_loopback

PREFIX: Final = "/api/v1/websocket"
SECONDS: Final = 15.0
COLUMNS: Final = ("time", "replica", "station", "channel", "facts")
_REFUSED: Final = (401, 403, 429)
_FIRST: Final = ("at", "replica", "station", "channel")


def trace(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the message, as its sender or a client saw it.")],
    channel: Annotated[str, typer.Option(help="Where it was said, if you know: user:42, session:s1 …")] = "",
    url: Annotated[str, typer.Option(help="HTTP address of any replica, such as http://127.0.0.1:8000.")] = "",
    token: Annotated[
        str, typer.Option(help="A token of a viewer; one is made with the configured secret if you give none.")
    ] = "",
    as_json: Json = False,
) -> Status:
    """Print the stations that message ID has passed, on all replicas; status 1 when nobody knows it."""
    path = f"{PREFIX}/messages/{quote(checked_message_id(id), safe='')}/trace"
    query = f"?{urlencode({'channel': checked_channel(channel)})}" if channel else ""
    settings, server = reachable()
    address = url or _http(server.urls[0] if server else f"ws://{settings.host}:{settings.port}/ws")
    role = next(iter(settings.viewer_roles or settings.admin_roles), "")
    token = token or signed(settings, everything("fairlead-cli", settings, role))
    found = _asked(address.rstrip("/") + path + query, token)
    say_json(found) if as_json else _tell(found)
    return Status.OK if found["steps"] else Status.NO


def _http(url: str) -> str:
    """Where a replica answers HTTP whose WebSockets are at *url*."""
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


def _asked(url: str, token: str) -> Mapping[str, Any]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise Trouble(f"{url} is not an HTTP address such as http://127.0.0.1:8000", Status.USAGE)
    opener = build_opener(*[ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else [])
    request = Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            found = json.load(answer)
    except HTTPError as error:
        raise Trouble(*_refusal(error)) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        fault = of_error(reason if isinstance(reason, BaseException) else error, url)
        raise Trouble(f"cannot ask {url}: {fault.text}; {fault.todo}", Status.UNAVAILABLE) from error
    if not isinstance(found, dict) or not isinstance(found.get("steps"), list):
        raise Trouble(f"{url} did not answer as a replica does", Status.UNAVAILABLE)
    return found


def _refusal(error: HTTPError) -> tuple[str, Status]:
    try:
        detail = json.load(error)["detail"]
    except (ValueError, LookupError, TypeError):
        detail = error.reason
    if error.code in _REFUSED:
        return f"refused: {detail}", Status.REFUSED
    return f"the replica answered {error.code}: {detail}", Status.USAGE if error.code < 500 else Status.UNAVAILABLE


def _tell(found: Mapping[str, Any]) -> None:
    table([_row(step) for step in found["steps"]], COLUMNS)
    if found["silent"]:
        note(f"did not answer in time: {', '.join(found['silent'])}")
    note(found["note"])


def _row(step: Mapping[str, Any]) -> dict[str, str]:
    """One line; ids and names are of others' choice, and must not command the terminal."""
    facts = " ".join(f"{name}={_short(value)}" for name, value in step.items() if name not in _FIRST and value != "")
    named = {name: printable(str(step[name])) for name in _FIRST[1:]}
    return {"time": str(step["at"] or "-"), **named, "facts": facts}


def _short(value: object) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value))
