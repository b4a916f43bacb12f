"""What browsers are told about every page and file of ours: what it may load, and that nobody may put it in a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


def content_security_policy(*, connect: Iterable[str] = (), inline_styles: bool = False) -> str:
    """
    Own files, own requests and own sockets; nothing else, from nowhere else.

    :param connect: origins that scripts may connect to beside their own (``ws://127.0.0.1:8001``); ``'self'`` covers
        sockets of the page's own origin.
    :param inline_styles: let elements carry styles, as a vendored page does that we do not write.
    """
    styles = "'self' 'unsafe-inline'" if inline_styles else "'self'"
    connections = " ".join(("'self'", *connect))
    return (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; "
        f"connect-src {connections}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page_headers(
    *, connect: Iterable[str] = (), inline_styles: bool = False, cache: str = "no-cache"
) -> dict[str, str]:
    """
    The headers of a page, or of a file that pages load; parameters as for `content_security_policy`.

    :param cache: ``no-cache`` asks again each time whether a file has changed, ``no-store`` keeps nothing.
    """
    return {
        "content-security-policy": content_security_policy(connect=connect, inline_styles=inline_styles),
        "cache-control": cache,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


class Files(StaticFiles):
    """The files of a folder, each answered with *headers*."""

    def __init__(self, folder: Path, headers: Mapping[str, str]) -> None:
        super().__init__(directory=folder)
        self._headers = headers

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers.update(self._headers)
        return answer
