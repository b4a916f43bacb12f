"""What ``fairlead dev`` says when it is ready: addresses, a token, lines to paste, and what is not safe about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from fairlead.version import __version__

HELLO: Final = '{"type":"hello","content":"from a shell"}'


@dataclass(frozen=True, slots=True)
class Ready:
    """A development server that can be used."""

    command: str
    """How to call ``fairlead`` from the directory it was started in."""

    pages: tuple[str, ...]
    sockets: tuple[str, ...]
    redis_url: str
    redis_is_ours: bool
    user: str
    token: str
    token_hours: int
    warnings: tuple[str, ...]

    @property
    def websocat(self) -> str:
        """A command-line client on the first replica; ``wscat`` takes the same ``-H``, and ``-c`` before the URL."""
        return f"websocat -H {shlex.quote(f'Authorization: Bearer {self.token}')} {self.sockets[0]}"

    @property
    def curl(self) -> str:
        """Whether the first replica is ready, by curl."""
        return f"curl -i {self.pages[0]}readyz"

    @property
    def send(self) -> str:
        """A backend's message, from any other shell."""
        return f"{self.command} send user:{self.user} {shlex.quote(HELLO)}"

    @property
    def listen(self) -> str:
        """A client on the last replica."""
        return f"{self.command} listen --user {self.user} --url {self.sockets[-1]}"


def facts(ready: Ready) -> dict[str, object]:
    """Everything the banner tells, for programs."""
    lines = {"websocat": ready.websocat, "curl": ready.curl, "send": ready.send, "listen": ready.listen}
    return asdict(ready) | {"version": __version__, "try": lines}


def banner(ready: Ready) -> str:
    """The banner, for people."""
    return "\n".join(_lines(ready))


def _lines(ready: Ready) -> Iterator[str]:
    store = "an embedded Valkey" if ready.redis_is_ours else "your Redis"
    yield f"\n  fairlead {__version__} is ready: {len(ready.sockets)} replicas and {store}\n"
    yield from _row("page", ready.pages[0])
    yield from _row("replicas", "   ".join(ready.sockets))
    yield from _row("redis", ready.redis_url)
    yield from _row("token", f"user {ready.user}, good for {ready.token_hours} hours")
    yield f"\n{ready.token}\n"
    yield "  Paste into another shell:\n"
    for line in (ready.send, ready.listen, ready.websocat, ready.curl):
        yield f"{line}\n"
    for warning in ready.warnings:
        yield f"  warning: {warning}"
    yield "\n  Ctrl-C stops everything.\n"


def _row(name: str, value: str) -> Iterator[str]:
    yield f"  {name:<10}{value}"
