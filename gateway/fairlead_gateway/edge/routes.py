"""The few HTTP routes that stand beside the sockets."""

from __future__ import annotations

from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fairlead.errors import FairleadError, Unauthorized
from fairlead_gateway.access.tickets import Tickets
from fairlead_gateway.access.tokens import TokenVerifier

STATUS: Final = {"unauthorized": 401, "forbidden": 403, "unavailable": 503}


class Health(Protocol):
    """What a replica says about itself."""

    def readiness(self) -> dict[str, bool]:
        """Everything that must be true before clients should be sent here."""


def routes(health: Health, verifier: TokenVerifier, tickets: Tickets) -> list[BaseRoute]:
    """The HTTP routes of every replica."""

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        checks = health.readiness()
        ready = all(checks.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    async def issue_ticket(request: Request) -> Response:
        try:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthorized("send Authorization: Bearer <token>")
            ticket = await tickets.issue(await verifier.identify(token.strip()))
        except FairleadError as error:
            return problem(error)
        return JSONResponse({"ticket": ticket, "expires_in": 30}, 201, headers={"cache-control": "no-store"})

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/api/v1/websocket/tickets", issue_ticket, methods=["POST"]),
    ]


def problem(error: FairleadError) -> Response:
    """*error* as a problem document (RFC 9457)."""
    status = STATUS.get(error.code, 400)
    body = {"type": "about:blank", "title": error.code, "status": status, "detail": error.message, **error.detail}
    return JSONResponse(body, status, media_type="application/problem+json")
