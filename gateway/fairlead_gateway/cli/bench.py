"""`fairlead bench WORKLOAD`: what this replica costs on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Protocol

import typer

from fairlead_gateway.bench.figures import Report, notes, table
from fairlead_gateway.bench.ground import Ground, StartFailed, ground
from fairlead_gateway.bench.replica import Replica
from fairlead_gateway.bench.worker import TooLate, WorkerFailed
from fairlead_gateway.bench.workloads.ask import Ask
from fairlead_gateway.bench.workloads.connect import Connect
from fairlead_gateway.bench.workloads.echo import Echo
from fairlead_gateway.bench.workloads.fanout import SWEEP, Fanout
from fairlead_gateway.bench.workloads.memory import Memory
from fairlead_gateway.bench.workloads.recover import Recover
from fairlead_gateway.bench.workloads.stalled import Stalled
from fairlead_gateway.bench.workloads.tasks import Tasks
from fairlead_gateway.bench.workloads.unicast import Unicast
from fairlead_gateway.cli.output import Status, Trouble
from fairlead_gateway.embedded import NoServer

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    help="Measure one replica: deliveries a second, CPU microseconds of the server alone, memory, latency. "
    "Starts a replica and a Valkey of its own, the replica on the first core, everything else on the others. "
    "Rates move with the machine and end where Redis or the load do; CPU per unit is the figure to compare.",
)

RedisUrl = Annotated[
    str, typer.Option(help="Use this Redis instead of starting a Valkey.", metavar="redis://HOST:PORT")
]
Json = Annotated[Path | None, typer.Option("--json", help="Also write one JSON line a row to this file.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long is measured, after a second of warming up.")]
Size = Annotated[int, typer.Option(min=60, help="Bytes of a message.")]
Sockets = Annotated[int, typer.Option(min=1, help="WebSockets that are held open.")]
Rate = Annotated[float, typer.Option(min=0.1, help="Messages published a second.")]


class Workload(Protocol):
    def __call__(self, ground: Ground, target: Replica, /) -> Iterator[Report]: ...


@app.command()
def fanout(
    sockets: Sockets = 1000,
    rate: Rate = 100.0,
    size: Size = 200,
    seconds: Seconds = 5.0,
    sweep: Annotated[
        bool, typer.Option("--sweep", help=f"Rates {', '.join(f'{r:g}' for r in SWEEP)} in turn.")
    ] = False,
    redis_url: RedisUrl = "",
    json: Json = None,
) -> None:
    """One publisher, many sockets on one topic. Unit: one message delivered to one socket."""
    _run(Fanout(sockets, SWEEP if sweep else (rate,), size, seconds), redis_url, json)


@app.command()
def unicast(
    users: Annotated[int, typer.Option(min=1, help="Users with one socket each.")] = 1000,
    rate: Rate = 60_000.0,
    size: Size = 200,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Messages without offsets.")] = False,
    seconds: Seconds = 5.0,
    redis_url: RedisUrl = "",
    json: Json = None,
) -> None:
    """Messages to each of many users in turn, one channel each. Unit: one message delivered."""
    _run(Unicast(users, rate, size, not ephemeral, seconds), redis_url, json)


@app.command()
def connect(
    sockets: Sockets = 5000,
    in_flight: Annotated[int, typer.Option(min=1, help="Handshakes under way at any moment.")] = 64,
    redis_url: RedisUrl = "",
    json: Json = None,
) -> None:
    """A storm of connections with token and admission. Unit: one handshake up to connection_established."""
    _run(Connect(sockets, in_flight), redis_url, json)


@app.command()
def echo(sockets: Sockets = 100, seconds: Seconds = 5.0, redis_url: RedisUrl = "", json: Json = None) -> None:
    """Each socket says ping and waits for the answer, again and again. Unit: one action answered."""
    _run(Echo(sockets, seconds), redis_url, json)


@app.command()
def ask(
    users: Annotated[int, typer.Option(min=1, help="Users who answer, with a socket on each of two replicas.")] = 50,
    rate: Annotated[float, typer.Option(min=0.1, help="Questions asked a second, one after the other.")] = 50.0,
    pending: Annotated[int, typer.Option(min=0, help="Questions that others think about, the second time.")] = 1000,
    seconds: Seconds = 5.0,
    redis_url: RedisUrl = "",
    json: Json = None,
) -> None:
    """One question after the other, answered at once. Unit: one question, from asking to having the answer."""
    _run(Ask(users, rate, pending, seconds), redis_url, json)


@app.command()
def memory(sockets: Sockets = 5000, redis_url: RedisUrl = "", json: Json = None) -> None:
    """Idle connections, authenticated and present. Unit: kB of the replica for one of them."""
    _run(Memory(sockets), redis_url, json)


@app.command()
def recover(
    sockets: Sockets = 5000,
    missed: Annotated[int, typer.Option(min=1, max=250, help="Messages that each has missed.")] = 10,
    size: Size = 200,
    shared: Annotated[bool, typer.Option("--shared", help="All have missed the same, in one instance.")] = False,
    in_flight: Annotated[int, typer.Option(min=1, help="Clients that come back at any moment.")] = 64,
    redis_url: RedisUrl = "",
    json: Json = None,
) -> None:
    """Everybody comes back and is given what it missed. Unit: one client, from connect to the last missed message."""
    _run(Recover(sockets, missed, size, shared, in_flight), redis_url, json)


@app.command()
def tasks(
    tasks: Annotated[int, typer.Option(min=1, help="Tasks, each watched by one socket.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, help="Updates a second of all tasks together.")] = 1000.0,
    seconds: Seconds = 5.0,
    redis_url: RedisUrl = "",
    json: Json = None,
) -> None:
    """Updates of each of many tasks in turn, to who watches it. Unit: one update delivered."""
    _run(Tasks(tasks, rate, seconds), redis_url, json)


@app.command()
def stalled(
    sockets: Sockets = 500,
    rate: Rate = 200.0,
    size: Size = 4000,
    seconds: Seconds = 8.0,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds without and with, alternating.")] = 3,
    redis_url: RedisUrl = "",
    json: Json = None,
) -> None:
    """Fan-out with and without a tenth of the readers never reading. Figure: the others' p99."""
    _run(Stalled(sockets, rate, size, seconds, rounds), redis_url, json)


def _run(workload: Workload, redis_url: str, json: Path | None) -> None:
    try:
        with ground(redis_url) as place:
            show(list(workload(place, Replica())), json)
    except (StartFailed, TooLate, WorkerFailed, NoServer) as error:
        raise Trouble(str(error), Status.UNAVAILABLE) from error
    except ValueError as error:
        raise Trouble(str(error), Status.USAGE) from error


def show(reports: Sequence[Report], json: Path | None) -> None:
    """The table, what must be known beside it, and the same for machines."""
    lines = [report.json_line() for report in reports]
    typer.echo("\n".join([table(reports), "", *notes(reports), *lines]))
    if json:
        json.write_text("".join(f"{line}\n" for line in lines))
