"""The table of commands, and the one place where errors become exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Final, cast

import typer

from fairlead.errors import FairleadError, Forbidden, RateLimited, Unauthorized, Unavailable
from fairlead.version import __version__
from fairlead_gateway.cli import ask, config, described, dev, listen, send, serve, token, trace
from fairlead_gateway.cli.configured import redis_address
from fairlead_gateway.cli.doctor import command as doctor
from fairlead_gateway.cli.output import MEANINGS, Status, Trouble, note

STATUSES: Final = "Exit status: " + "; ".join(f"{status.value} {meaning}" for status, meaning in MEANINGS.items()) + "."

SUMMARIES: Final[Mapping[str, str]] = {
    "dev": "Everything at once, to try it out: Valkey, replicas, a page.",
    "serve": "Run a replica, or several on one port.",
    "doctor": "Look for what is wrong, from settings to your proxy.",
    "send": "Publish a message.",
    "ask": "Ask somebody, and wait for the answer.",
    "listen": "Connect as a user, and print what arrives.",
    "trace": "Where one message has passed, over all replicas.",
    "openapi": "Print the HTTP interface as OpenAPI 3.1.",
    "asyncapi": "Print the WebSocket protocol as AsyncAPI 3.0.",
    "token create": "Make a token for trying things out.",
    "token check": "Say whom a token lets in, or why it does not.",
    "token revoke": "Revoke a token, or log a user out everywhere.",
    "config show": "Every setting as it is now.",
    "config env": "Every variable, for an .env file.",
    "config check": "What is unsafe, or no setting.",
}
"""One line for each command, where they are listed."""

EXAMPLES: Final[Mapping[str, str]] = {
    "": "fairlead dev",
    "dev": "fairlead dev --port 9000 --user ann",
    "serve": "FAIRLEAD_JWT_SECRET=$(openssl rand -hex 32) fairlead serve --port 8000",
    "doctor": "fairlead doctor --url wss://example.org/ws --origin https://example.org",
    "send": """fairlead send user:42 '{"type":"hello","content":"from a shell"}'""",
    "ask": "fairlead ask user:42 'Deploy to production?' --timeout 60 && ./deploy",
    "listen": "fairlead listen --user 42 --channel session:s1 --json",
    "trace": "fairlead trace 01a1f7c2-6d52-7a31-9c04-3b1f6f0a2b11 --channel user:42",
    "openapi": "fairlead openapi > openapi.json",
    "asyncapi": "fairlead asyncapi > asyncapi.json",
    "token": "fairlead token create --user 42 --ttl 15m --session s1",
    "token create": "fairlead token create --user 42 --ttl 15m --session 's*'",
    "token check": "fairlead token create --user 42 | fairlead token check -",
    "token revoke": "fairlead token revoke --user 42",
    "config": "fairlead config check",
    "config show": "fairlead config show --json",
    "config env": "fairlead config env > .env",
    "config check": "fairlead config check && fairlead serve",
    "bench": "fairlead bench fanout --sockets 1000 --seconds 10",
}
"""A line to copy for each command; what is measured has one for all."""

_UsageError: Final = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""Every complaint about arguments; typer has it, but names only this child of it."""

_STATUS_OF: Final = {
    Unauthorized: Status.REFUSED,
    Forbidden: Status.REFUSED,
    RateLimited: Status.REFUSED,
}
"""What errors of the library come to; the others are about arguments."""


def epilog(command: str) -> str:
    """What stands below the options of *command*: a line to copy, and what the exit status means."""
    return f"\b\nExample:\n  {EXAMPLES[command]}\n\n{STATUSES}"


app = typer.Typer(
    name="fairlead",
    help="A horizontally scaled WebSocket gateway for Python, backed by Redis.",
    epilog=epilog(""),
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    dev.dev,
    serve.serve,
    doctor.doctor,
    send.send,
    ask.ask,
    listen.listen,
    trace.trace,
    described.openapi,
    described.asyncapi,
):
    app.command(epilog=epilog(_command.__name__), short_help=SUMMARIES[_command.__name__])(_command)
for _group in (token.app, config.app):
    for _info in _group.registered_commands:
        _name = f"{_group.info.name} {getattr(_info.callback, '__name__', '')}"
        _info.epilog, _info.short_help = epilog(_name), SUMMARIES[_name]
    app.add_typer(_group, epilog=epilog(str(_group.info.name)))
if find_spec("fairlead_gateway.cli.bench") is not None:
    app.add_typer(import_module("fairlead_gateway.cli.bench").app, name="bench", epilog=epilog("bench"))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def run() -> int:
    """The exit status of the command line of this process, after everything there is to say has been said."""
    try:
        return int(app(prog_name="fairlead", standalone_mode=False) or Status.OK)
    except _UsageError as error:
        return _fail_usage(error)
    except Trouble as trouble:
        return _fail(str(trouble), trouble.status)
    except Unavailable as error:
        return _fail(f"{error.message.removesuffix('; try again')}; {_looked_for()}", Status.UNAVAILABLE)
    except FairleadError as error:
        return _fail(error.message, _status_of(error))


def _fail_usage(error: typer.BadParameter) -> Status:
    message = error.format_message()
    if message.startswith("Usage:"):  # a group that was called without a command: its help is the answer
        print(message, file=sys.stderr)
        return Status.USAGE
    advice = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return _fail(message + advice, Status.USAGE)


def _looked_for() -> str:
    """What to do when Redis cannot be used."""
    return f"it is looked for at {redis_address()}: start it, set FAIRLEAD_REDIS_URL, or ask fairlead doctor"


def _status_of(error: FairleadError) -> Status:
    return next((status for kind, status in _STATUS_OF.items() if isinstance(error, kind)), Status.USAGE)


def _fail(message: str, status: Status) -> Status:
    note(" ".join(message.split()))
    return status
