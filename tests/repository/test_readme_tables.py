"""The README's tables say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fairlead
from fairlead.codes import CLOSES, ERRORS
from fairlead.envelope import Envelope
from fairlead.names import Names, partition_of
from fairlead.sends import Sends
from fairlead_gateway.admin.alerts import RULES
from fairlead_gateway.admin.metrics import HISTOGRAMS, METRICS
from fairlead_gateway.edge.application import PATHS
from fairlead_gateway.rest.table import ROWS
from fairlead_gateway.sessions.actions import RESERVED

README = (Path(__file__).parents[2] / "README.md").read_text()


def _rows(first_column: str) -> set[tuple[str, ...]]:
    """Rows of the table whose header begins with *first_column*, without that header."""
    table = README.split(f"\n| {first_column} |", 1)[1].split("\n\n", 1)[0]
    lines = [line for line in table.splitlines()[2:] if line.startswith("|")]
    return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines}


def _names(cells: set[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_close_code_is_a_row() -> None:
    assert _rows("code | word") == {(str(close.code), close.word, close.client) for close in CLOSES}


def test_every_error_code_is_a_row() -> None:
    assert _rows("code | meaning") == {(f"`{code}`", meaning) for code, meaning in ERRORS.items()}


def test_every_action_is_a_row() -> None:
    named = _names({row[0] for row in _rows("action")})

    assert named == RESERVED - {"pong"}


def test_every_path_is_a_row() -> None:
    assert _names({row[0] for row in _rows("path")}) == set(PATHS)


def test_every_route_is_a_row() -> None:
    told = {(f"`{row.method} {row.path[1:]}`", row.rank.name.lower(), row.summary) for row in ROWS}

    assert _rows("route | rank") == told


def test_every_alert_is_a_row() -> None:
    told = {
        (f"`{rule.name}`", rule.severity, f"{rule.limit.threshold:.0f}", f"{rule.limit.seconds:g} s") for rule in RULES
    }

    assert {row[:4] for row in _rows("rule | severity")} == told


def test_every_metric_is_a_row_with_its_labels() -> None:
    rows = _rows("metric (`fairlead_…`)")
    told = {f"fairlead_{name.removesuffix('_total')}": row[1] for row in rows for name in _names({row[0]})}

    counted = {metric.name: ", ".join(metric.labels) for metric in METRICS}
    assert told == counted | {histogram.name: "histograms" for histogram in HISTOGRAMS}


def test_every_way_of_sending_is_a_row_and_every_row_exists() -> None:
    named = {call.partition("(")[0] for call in _names({row[0] for row in _rows("method")})}

    assert {name for name in vars(Sends) if name.startswith(("send_to", "broadcast"))} <= named
    assert not [name for name in named if not hasattr(fairlead.Backend, name)]


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.S))
def test_every_snippet_compiles_and_names_what_exists(block: str) -> None:
    source = "async def snippet():\n" + "\n".join(f"    {line}" for line in block.splitlines())
    compile(source, "README.md", "exec")

    for module, names in re.findall(r"from (fairlead\S*) import ([\w, ]+)", block):
        imported = __import__(module, fromlist=["_"])
        assert not [name for name in names.split(", ") if not hasattr(imported, name)]
    for name in re.findall(r"fairlead\.(\w+)\(", block):
        assert hasattr(fairlead, name)


def test_the_worked_envelope_is_what_we_publish() -> None:
    written = re.search(r"```\n((?:[0-9a-f]+\n)+)```", README)
    assert written is not None

    sealed = Envelope("m-1", "hello", b'{"type":"hello","id":"m-1"}').seal()

    assert bytes.fromhex(written[1].replace("\n", "")) == sealed


def test_the_plain_json_door_is_where_the_example_says() -> None:
    name = Names().pubsub("topic:prices")

    assert f"redis-cli PUBLISH '{name}'" in README
    assert f"{partition_of('topic:prices')} = CRC16(topic:prices) mod 128" in README
