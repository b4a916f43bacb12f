"""Ours and others' servers under the same load on the same cores, in turn: ``python -m tests.bench.compare``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from fairlead_gateway.bench.figures import Report, notes, table
from fairlead_gateway.bench.ground import StartFailed, ground
from fairlead_gateway.bench.replica import Replica
from fairlead_gateway.bench.target import Target
from fairlead_gateway.bench.worker import TooLate, WorkerFailed
from fairlead_gateway.bench.workloads.fanout import Fanout
from tests.bench.peers import PEERS
from tests.bench.ratios import ratios

RATES: Final[dict[str, tuple[float, ...]]] = {
    "fairlead": (100, 400, 1000, 2500),
    "nchan": (100, 400),
    "starlette": (50, 100),
    "socketio": (10, 20),
    "channels": (3, 5),
}
"""Messages a second to a thousand sockets: first what a server can hold, then what it cannot (ours: can)."""

Only = Annotated[list[str], typer.Option(help=f"Repeat for several of {', '.join(RATES)}; all if none is named.")]


def main(
    only: Only = [],  # noqa: B006 typer copies it
    sockets: int = 1000,
    size: int = 200,
    seconds: float = 5.0,
    rounds: Annotated[int, typer.Option(help="Times that all servers are measured; ratios are of medians.")] = 1,
    json: Annotated[Path, typer.Option(help="One JSON line a row.")] = Path("bench-compare.json"),
) -> None:
    """Fan-out of one topic through Redis to many sockets, ours and others'."""
    chosen = set(only) or set(RATES)
    targets = [target for target in _available() if target.name in chosen]
    reports = [
        report
        for _ in range(rounds)
        for target in targets
        for report in _measured(target, Fanout(sockets, RATES[target.name], size, seconds))
    ]
    json.write_text("".join(f"{report.json_line()}\n" for report in reports))
    print("\n".join([table(reports), "", *notes(reports), "", *ratios(reports), f"\nwritten to {json}"]))


def _available() -> Iterator[Target]:
    yield Replica()
    for peer in PEERS:
        if missing := peer.missing():
            _say(f"{peer.name} is skipped: {missing} is not installed")
        else:
            yield peer


def _measured(target: Target, fanout: Fanout) -> Sequence[Report]:
    _say(f"{target.name} …")
    try:
        with ground() as place:
            return list(fanout(place, target))
    except (StartFailed, TooLate, WorkerFailed) as error:
        _say(f"{target.name} is skipped: {error}")
        return []


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
