"""Pages for people, and the JavaScript client for pages of yours; all of it are files of our own (ADM-6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
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
    files = [path for path in sorted((FOLDER / CLIENT).rglob("*")) if path.suffix in SERVED]
    return [_file(path, f"/static/{path.relative_to(FOLDER / CLIENT).as_posix()}", headers) for path in files]


def _file(path: Path, url: str, headers: Mapping[str, str]) -> BaseRoute:
    async def file(request: Request) -> Response:
        answer = FileResponse(path, headers=headers, media_type=SERVED[path.suffix], stat_result=path.stat())
        is_known = request.headers.get("if-none-match") == answer.headers["etag"]
        return Response(status_code=304, headers={**headers, "etag": answer.headers["etag"]}) if is_known else answer

    return Route(url, file, methods=["GET"])


def _page(name: str) -> Answer:
    headers = page_headers()

    async def page(_request: Request) -> Response:
        return FileResponse(FOLDER / name / "index.html", headers=headers)

    return page
