"""Turns Autobahn's ``index.json`` files into RESULTS.md: ``python -m tests.conformance.table INDEX… > RESULTS.md``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Final

GROUPS: Final = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Closing",
    "9": "Limits and performance",
    "10": "Automatic fragmentation",
    "12": "Compression, different payloads",
    "13": "Compression, different parameters",
}

OUTCOMES: Final = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")

WHY_NOT_STRICT: Final = {
    "6.4.3": "invalid UTF-8 in a frame that comes in pieces is refused when the frame is whole, not at the bad byte",
    "6.4.4": "as 6.4.3, in pieces of one byte",
}

VERSIONS: Final = ("uvicorn", "uvloop", "httptools", "websockets", "starlette")

Case = Mapping[str, str | int]


def read(paths: Iterable[str]) -> dict[str, Case]:
    """All cases of several runs."""
    cases: dict[str, Case] = {}
    for path in paths:
        for agent in json.loads(Path(path).read_text()).values():
            cases.update(agent)
    return cases


def table(cases: Mapping[str, Case]) -> list[str]:
    """One row for each group of cases."""
    counts = {group: Counter[str]() for group in GROUPS}
    unclean = Counter[str]()
    for name, case in cases.items():
        group = name.partition(".")[0]
        counts[group][str(case["behavior"])] += 1
        unclean[group] += case["behaviorClose"] not in ("OK", "INFORMATIONAL")
    rows = [f"| {' | '.join(('', 'cases', *OUTCOMES, 'wrong close'))} |", "|---" * (len(OUTCOMES) + 3) + "|"]
    for group, title in GROUPS.items():
        figures = (counts[group].total(), *(counts[group][outcome] for outcome in OUTCOMES), unclean[group])
        rows.append(f"| {group}. {title} | {' | '.join(map(str, figures))} |")
    total = sum(counts.values(), Counter[str]())
    figures = (total.total(), *(total[outcome] for outcome in OUTCOMES), unclean.total())
    return [*rows, f"| **all** | {' | '.join(f'**{figure}**' for figure in figures)} |"]


def exceptions(cases: Mapping[str, Case]) -> list[str]:
    """Every case that is not plainly right, with the reason."""
    wrong = (name for name, case in cases.items() if case["behavior"] not in ("OK", "INFORMATIONAL"))
    return [
        f"- {name}: {str(cases[name]['behavior']).lower()}; {WHY_NOT_STRICT.get(name, 'no reason is known')}."
        for name in sorted(wrong, key=lambda name: [int(part) for part in name.split(".")])
    ]


def document(cases: Mapping[str, Case]) -> str:
    versions = ", ".join((f"Python {python_version()}", *(f"{name} {version(name)}" for name in VERSIONS)))
    return "\n".join(
        (
            "# The Autobahn WebSocket test suite against our protocol",
            "",
            "The suite (autobahntestsuite 25.10.1, `wstest -m fuzzingclient`, every case) talks to the echo server:",
            "",
            "    python -m tests.conformance.echo 9001",
            "    wstest -m fuzzingclient -s fuzz.json      # url ws://127.0.0.1:9001/, cases *, nothing excluded",
            "    python -m tests.conformance.table index.json > tests/conformance/RESULTS.md",
            "",
            f"{versions}.",
            "",
            *table(cases),
            "",
            "Not strict:",
            "",
            *exceptions(cases),
            "",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(document(read(sys.argv[1:])))
