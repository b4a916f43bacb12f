"""Gateways over HTTP: whether they live, and whether they are ready for clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from fairlead_gateway.cli.doctor.faults import of_error
from fairlead_gateway.cli.doctor.finding import Finding, advice, good, wrong
from fairlead_gateway.preflight import is_loopback


async def gateway_findings(addresses: Iterable[str], seconds: float) -> list[Finding]:
    """Of each of *addresses*, such as ``http://127.0.0.1:8000``."""
    found = await asyncio.gather(*(asyncio.to_thread(_asked, address, seconds) for address in addresses))
    return [finding for some in found for finding in some]


def _asked(address: str, seconds: float) -> list[Finding]:
    try:
        status, _ = _get(f"{address}/healthz", seconds)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        fault = of_error(reason if isinstance(reason, BaseException) else error, address)
        return [wrong("gateway", f"{address}: {fault.text}", fault.todo, address=address)]
    if status != 200:
        todo = "a proxy need not pass /healthz on; if it should, look at its routes and at the gateway's log"
        return [advice("gateway", f"{address}/healthz answered {status}", todo, address=address, status=status)]
    return [good("gateway", f"{address} lives", address=address), *_ready(address, seconds)]


def _ready(address: str, seconds: float) -> list[Finding]:
    try:
        status, said = _get(f"{address}/readyz", seconds)
    except (OSError, HTTPException, ValueError) as error:
        return [wrong("ready", f"{address}/readyz: {error}", "look at the gateway's log", address=address)]
    checks = said.get("checks", {}) if isinstance(said, dict) else {}
    failing = sorted(name for name, is_well in checks.items() if not is_well)
    facts = {"address": address, "status": status, "checks": checks}
    if status == 200:
        return [good("ready", f"{address} is ready for clients", **facts)]
    todo = "`open` is false while it drains; the others are about its Redis: look at the gateway's log"
    return [wrong("ready", f"{address} is not ready: {', '.join(failing) or status}", todo, **facts)]


def _get(url: str, seconds: float) -> tuple[int, Any]:
    """Status and JSON; None for what is no JSON."""
    opener = build_opener(*[ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else [])
    try:
        with opener.open(Request(url), timeout=seconds) as answer:
            status, body = int(answer.status), answer.read(65_536)
    except HTTPError as error:
        status, body = error.code, error.read(65_536)
    try:
        return status, json.loads(body)
    except ValueError:
        return status, None
