"""The page and the suite say the same: every rule is shown by a scenario, and none that is not there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.clients.page import RULES


def shown() -> Iterator[tuple[str, str]]:
    """Scenario and rule, for each rule that a scenario names."""
    for path in Path(__file__).parent.glob("test_*.py"):
        for scenario in ast.walk(ast.parse(path.read_text())):
            if isinstance(scenario, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in scenario.decorator_list:
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.rules":
                        yield from ((scenario.name, ast.literal_eval(rule)) for rule in call.args)


def test_every_rule_of_the_page_is_shown_by_a_scenario() -> None:
    assert sorted(set(RULES)) == sorted(RULES)
    assert set(RULES) - {rule for _, rule in shown()} == set()


def test_no_scenario_names_a_rule_that_the_page_does_not_know() -> None:
    assert {(scenario, rule) for scenario, rule in shown() if rule not in RULES} == set()
