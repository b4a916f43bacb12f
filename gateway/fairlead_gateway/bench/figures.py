"""What a run found, as a row for people and as JSON for machines."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson

Parameter = int | float | str


@dataclass(frozen=True, slots=True)
class Late:
    """How late things were, in milliseconds."""

    p50: float
    p99: float
    p999: float

    @classmethod
    def of(cls, nanoseconds: array[int]) -> Late | None:
        """None of nothing."""
        if not nanoseconds:
            return None
        ordered, last = sorted(nanoseconds), len(nanoseconds) - 1
        return cls(*(round(ordered[round(last * part)] / 1e6, 3) for part in (0.5, 0.99, 0.999)))


@dataclass(frozen=True, slots=True)
class Report:
    """One line of the table. What a workload does not measure is None."""

    workload: str
    target: str
    unit: str
    """What is counted: delivery, message, handshake, action, connection."""

    parameters: Mapping[str, Parameter]
    units: int
    lost: int = 0
    """Units that were offered and did not arrive."""

    per_second: float | None = None
    cpu_us_per_unit: float | None = None
    """CPU microseconds of the server's processes alone."""

    server_cores: float | None = None
    """Share of a core that the server used."""

    kb_per_connection: float | None = None
    late_ms: Late | None = None
    closed: Mapping[str, int] = field(default_factory=dict)
    """Sockets that the server ended, by close code."""

    load_cores: Mapping[str, float] = field(default_factory=dict)
    """Shares of a core that Redis, the publisher and each worker of the load used."""

    limited_by: Sequence[str] = ()
    """What beside the server was at its limit."""

    extra: Mapping[str, Parameter] = field(default_factory=dict)
    machine: Mapping[str, Parameter] = field(default_factory=dict)

    def json_line(self) -> str:
        return orjson.dumps(asdict(self)).decode()


_COLUMNS = (
    "target",
    "workload",
    "units",
    "lost",
    "units/s",
    "CPU us/unit",
    "cores",
    "kB/conn",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
)


def table(reports: Iterable[Report]) -> str:
    """The rows below their heads, and what limited them."""
    rows = [_COLUMNS, *map(_cells, reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cells(report: Report) -> tuple[str, ...]:
    late = report.late_ms
    what = " ".join((report.workload, *(f"{name}={value}" for name, value in report.parameters.items())))
    numbers = (report.per_second, report.cpu_us_per_unit, report.server_cores, report.kb_per_connection)
    lates = (late.p50, late.p99, late.p999) if late else (None, None, None)
    return (
        report.target,
        what,
        f"{report.units:,} {report.unit}",
        f"{report.lost:,}",
        *map(_number, (*numbers, *lates)),
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def notes(reports: Iterable[Report]) -> list[str]:
    """What a reader of the table must know beside it."""
    said = []
    for report in reports:
        what = f"{report.target} {report.workload}"
        said += [f"{what}: {limit}; read CPU per unit, not the rate" for limit in report.limited_by]
        said += [f"{what}: {count} sockets closed ({why})" for why, count in report.closed.items() if count]
        said += [f"{what}: {name} {value}" for name, value in report.extra.items()]
    return said
