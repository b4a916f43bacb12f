"""Pages for people: the dashboard and the description of the HTTP interface; all their files are our own (ADM-6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from fairlead_gateway.rest.headers import Files, page_headers

FOLDER: Final = Path(__file__).parent.parent / "static"

PAGES: Final = ("dashboard", "docs")
"""Folders with an ``index.html``, each a page at its name."""

VENDORED: Final = "vendor"
"""Files of others, put there at installation; see its ``manifest.json``."""

Answer = Callable[[Request], Awaitable[Response]]


def page_routes() -> list[BaseRoute]:
    """The pages and their files; nobody needs a token for them, since they hold nothing."""
    return [
        *(Route(f"/{name}", _page(name), methods=["GET"]) for name in PAGES),
        *(Mount(f"/static/{name}", Files(FOLDER / name, page_headers())) for name in (*PAGES, VENDORED)),
    ]


def _page(name: str) -> Answer:
    headers = page_headers()

    async def page(_request: Request) -> Response:
        return FileResponse(FOLDER / name / "index.html", headers=headers)

    return page
