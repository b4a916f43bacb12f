"""What ``fairlead dev`` says when it is ready: addresses, a token, lines to paste, and what is not safe about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from fairlead.version import __version__

QUESTION: Final = "Deploy to production?"
ON_THE_PAGE: Final = "ada"
"""Somebody whom the page shows."""

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
    def dashboard(self) -> str:
        """The page of operators, signed in: what stands behind ``#`` stays in the browser."""
        return f"{self.pages[0]}dashboard#token={self.token}"

    @property
    def websocat(self) -> str:
        """A command-line client on the first replica."""
        return f"websocat -H {shlex.quote(f'Authorization: Bearer {self.token}')} {self.sockets[0]}"

    @property
    def curl(self) -> str:
        """A single-use ticket for a browser, from the REST side."""
        bearer = shlex.quote(f"Authorization: Bearer {self.token}")
        return f"curl -X POST -H {bearer} {self.pages[0]}api/v1/websocket/tickets"

    @property
    def send(self) -> str:
        """A backend's message, from any other shell."""
        return f"{self.command} send user:{self.user} {shlex.quote(HELLO)}"

    @property
    def ask(self) -> str:
        """A question that the page shows; status 0 if the answer is to go on."""
        return f"{self.command} ask user:{ON_THE_PAGE} {shlex.quote(QUESTION)}"

    @property
    def listen(self) -> str:
        """A client on the last replica."""
        return f"{self.command} listen --user {self.user} --url {self.sockets[-1]}"

    @property
    def lines(self) -> dict[str, str]:
        """Lines to paste, by what they do."""
        return {
            f"a backend sends to user {self.user}": self.send,
            f"ask {ON_THE_PAGE} on the page, and wait for the answer": self.ask,
            f"user {self.user} listens on the other replica": self.listen,
            "the same with websocat (or wscat: -H the same, -c before the address)": self.websocat,
            "a single-use ticket, by curl": self.curl,
        }


def facts(ready: Ready) -> dict[str, object]:
    """Everything the banner tells, for programs."""
    names = ("websocat", "curl", "send", "ask", "listen")
    lines = {name: getattr(ready, name) for name in names}
    return asdict(ready) | {"version": __version__, "dashboard": ready.dashboard, "try": lines}


def banner(ready: Ready) -> str:
    """The banner, for people."""
    return "\n".join(_lines(ready))


def _lines(ready: Ready) -> Iterator[str]:
    store = "an embedded Valkey" if ready.redis_is_ours else "your Redis"
    yield f"\n  fairlead {__version__} is ready: {len(ready.sockets)} replicas and {store}\n"
    yield _row("page", ready.pages[0])
    yield _row("dashboard", ready.dashboard)
    yield _row("replicas", "   ".join(ready.sockets))
    yield _row("redis", ready.redis_url)
    yield _row("token", f"user {ready.user}, every channel, good for {ready.token_hours} hours:")
    yield f"\n{ready.token}\n"
    for purpose, line in ready.lines.items():
        yield f"# {purpose}\n{line}\n"
    yield from (_row("warning", warning) for warning in ready.warnings)
    yield "\n  Ctrl-C stops everything.\n"


def _row(name: str, value: str) -> str:
    return f"  {name:<10}{value}"
