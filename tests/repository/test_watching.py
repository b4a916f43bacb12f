"""Board and alert rules: well-formed, and about metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.metrics_core import CounterMetricFamily

from fairlead.codes import CLOSES, ERRORS
from fairlead_gateway.admin.metrics import HISTOGRAMS, METRICS, PROCESS
from fairlead_gateway.monitor.tallies import OTHER
from fairlead_gateway.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "fairlead.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
SCRAPE: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]

LABELS = {f"{row.name}_total" if row.family is CounterMetricFamily else row.name: {*row.labels} for row in METRICS}
LABELS |= {f"{one.name}_{part}": {"le"} for one in HISTOGRAMS for part in ("bucket", "sum", "count")}
LABELS |= {f"{name}_total" if name == "process_cpu_seconds" else name: set() for name in PROCESS}
LABELS |= {"up": set()}
EVERYWHERE = {"job", "instance"}
"""Labels that Prometheus itself puts on everything it scrapes."""

VALUES = {
    "code": {*ERRORS, OTHER, *(str(close.code) for close in CLOSES)},
    "word": {close.word for close in CLOSES},
}


def asked() -> Iterator[tuple[str, str]]:
    """Every query with a name for it, as Prometheus is asked it."""
    for panel in PANELS:
        for target in panel["targets"]:
            query = (
                target["expr"].replace("$__rate_interval", "5m").replace("$job", "fairlead").replace("$instance", ".*")
            )
            yield f"{panel['title']} {target['refId']}", query
    for rule in RULES:
        yield rule["alert"], rule["expr"]


QUERIES = dict(asked())


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_is_promql_about_metrics_and_labels_that_there_are(query: str) -> None:
    promql_parser.parse(query)

    selectors = re.findall(r"\b((?:fairlead|process)_\w+|up)\b(?:\{([^}]*)\})?", query)
    assert selectors
    for name, matchers in selectors:
        assert name in LABELS
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert label in LABELS[name] | EVERYWHERE
            if label in VALUES:
                assert {*value.split("|")} <= VALUES[label]
    known = {label for name, _ in selectors for label in LABELS[name]} | EVERYWHERE
    for labels in re.findall(r"\bby \(([^)]*)\)", query):
        assert {label.strip() for label in labels.split(",")} <= known


@pytest.mark.parametrize("wrong", ["sum(", "rate(x)", "a b", "x{y=~}"])
def test_what_is_no_promql_would_be_found(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        promql_parser.parse(wrong)


def test_the_board_shows_everything_that_a_replica_tells() -> None:
    used = {name for query in QUERIES.values() for name in re.findall(r"\b(?:fairlead|process)_\w+", query)}
    told = {name for name in LABELS if name.startswith("fairlead") and not name.endswith(("_sum", "_count"))}

    assert told <= used


def test_panels_have_places_of_their_own_and_name_what_they_show() -> None:
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    cells = [(place["x"] + x, place["y"] + y) for place in places for x in range(place["w"]) for y in range(place["h"])]

    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert all(panel["title"] and panel["datasource"]["uid"] == "${datasource}" for panel in PANELS)
    assert {variable["name"] for variable in BOARD["templating"]["list"]} == {"datasource", "job", "instance"}


def test_rows_are_those_of_the_board() -> None:
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]

    assert rows == [
        *(
            "Fleet",
            "Replicas",
            "Rates",
            "Latency",
            "Slow consumers and losses",
            "Redis",
            "Questions and alerts",
            "Process",
        ),
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Fairlead[A-Z]\w+", rule["alert"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"] and rule["annotations"]["action"].endswith((".", "replicas."))
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    known = {f"FAIRLEAD_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"FAIRLEAD_[A-Z_]+", rule["annotations"]["action"])) <= known


def test_no_two_alerts_have_one_name() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 8


def test_the_scrape_that_we_show_loads_the_rules_and_is_the_job_that_they_name() -> None:
    assert SCRAPE["rule_files"] == ["alerts.yml"]
    (job,) = SCRAPE["scrape_configs"]
    assert job["job_name"] == "fairlead"
    assert {name for query in QUERIES.values() for name in re.findall(r'job="(\w+)"', query)} == {"fairlead"}
