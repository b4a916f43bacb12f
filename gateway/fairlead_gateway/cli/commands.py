"""The table of commands, and the one place where errors become exit statuses."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Final, cast

import typer

from fairlead.errors import FairleadError, Forbidden, RateLimited, Unauthorized, Unavailable
from fairlead.version import __version__
from fairlead_gateway.cli import ask, config, described, dev, listen, send, serve, token, trace
from fairlead_gateway.cli.doctor import command as doctor
from fairlead_gateway.cli.output import MEANINGS, Status, Trouble, note

_EPILOG: Final = "Exit status: " + "; ".join(f"{status.value} {meaning}" for status, meaning in MEANINGS.items()) + "."

_UsageError: Final = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""Every complaint about arguments; typer has it, but names only this child of it."""

_STATUS_OF: Final = {
    Unavailable: Status.UNAVAILABLE,
    Unauthorized: Status.REFUSED,
    Forbidden: Status.REFUSED,
    RateLimited: Status.REFUSED,
}
"""What errors of the library come to; the others are about arguments."""

app = typer.Typer(
    name="fairlead",
    help="A horizontally scaled WebSocket gateway for Python, backed by Redis.",
    epilog=_EPILOG,
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
    app.command(epilog=_EPILOG)(_command)
for _group in (token.app, config.app):
    app.add_typer(_group, epilog=_EPILOG)
if find_spec("fairlead_gateway.cli.bench") is not None:
    app.add_typer(import_module("fairlead_gateway.cli.bench").app, name="bench", epilog=_EPILOG)


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
    except FairleadError as error:
        return _fail(error.message, _status_of(error))


def _fail_usage(error: typer.BadParameter) -> Status:
    message = error.format_message()
    if message.startswith("Usage:"):  # a group that was called without a command: its help is the answer
        print(message, file=sys.stderr)
        return Status.USAGE
    advice = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return _fail(message + advice, Status.USAGE)


def _status_of(error: FairleadError) -> Status:
    return next((status for kind, status in _STATUS_OF.items() if isinstance(error, kind)), Status.USAGE)


def _fail(message: str, status: Status) -> Status:
    note(" ".join(message.split()))
    return status
