"""Pages for people, and the JavaScript client for pages of yours; all of it are files of our own (ADM-6)."""

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

CLIENT: Final = "client"
"""The JavaScript client, as npm packs it; of its files those are served that programs load."""

SERVED: Final = {".js": "text/javascript", ".ts": "text/plain"}
"""Media types of what is served of the client, whatever the system thinks of ``.ts``."""

Answer = Callable[[Request], Awaitable[Response]]


def page_routes() -> list[BaseRoute]:
    """The pages and their files; nobody needs a token for them, since they hold nothing."""
    return [
        *(Route(f"/{name}", _page(name), methods=["GET"]) for name in PAGES),
        *(Mount(f"/static/{name}", Files(FOLDER / name, page_headers())) for name in (*PAGES, VENDORED)),
    ]


def client_routes() -> list[BaseRoute]:
    """The JavaScript client; nobody needs a token for it, and pages of every origin may import it."""
    headers = page_headers() | {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
    files = Files(FOLDER / CLIENT, headers)
    found = [path for path in sorted((FOLDER / CLIENT).rglob("*")) if path.suffix in SERVED]
    return [_file(files, path.relative_to(FOLDER / CLIENT).as_posix(), SERVED[path.suffix]) for path in found]


def _file(files: Files, name: str, media_type: str) -> BaseRoute:
    async def file(request: Request) -> Response:
        answer = await files.get_response(name, request.scope)
        answer.headers["content-type"] = f"{media_type}; charset=utf-8"
        return answer

    return Route(f"/static/{name}", file, methods=["GET"])


def _page(name: str) -> Answer:
    headers = page_headers()

    async def page(_request: Request) -> Response:
        return FileResponse(FOLDER / name / "index.html", headers=headers)

    return page
