"""``/metrics``: what Prometheus scrapes, without a token, on whichever listener serves it (ADM-4)."""

from __future__ import annotations

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fairlead_gateway.rest.api import Api

OPENMETRICS: Final = "application/openmetrics-text"


def metrics_routes(api: Api) -> list[BaseRoute]:
    """``GET /metrics`` of one replica, in OpenMetrics for whoever asks for it, else in the text format."""

    async def metrics(request: Request) -> Response:
        if OPENMETRICS in request.headers.get("accept", "").lower():
            body = openmetrics.generate_latest(api.administration.metrics)  # type: ignore[no-untyped-call]
            media_type = openmetrics.CONTENT_TYPE_LATEST
        else:
            body, media_type = generate_latest(api.administration.metrics), CONTENT_TYPE_LATEST
        return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})

    return [Route("/metrics", metrics, methods=["GET"])]
