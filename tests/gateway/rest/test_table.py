"""The table of routes: what every row must say, and the document that is made of all of them."""

from __future__ import annotations

import json

import pytest

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.openapi import document
from fairlead_gateway.rest.problems import STATUS
from fairlead_gateway.rest.route import Row
from fairlead_gateway.rest.table import ROWS

ids = [f"{row.method} {row.path}" for row in ROWS]


def test_no_two_rows_answer_the_same() -> None:
    assert len({(row.method, row.path) for row in ROWS}) == len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_row_says_all_that_is_to_be_known(row: Row) -> None:
    assert row.summary.endswith(".")
    assert row.in_path <= set(row.params.model_fields)
    assert set(row.errors) <= set(STATUS)
    assert row.is_public == (row.rank == Rank.USER), "what any client may use is where clients are, and nothing else"


def test_every_reference_of_the_document_leads_somewhere() -> None:
    made = document(ROWS)
    text = json.dumps(made)
    for part in text.split('"$ref": "#/')[1:]:
        place: object = made
        for name in part.partition('"')[0].split("/"):
            assert isinstance(place, dict)
            place = place[name]
    assert made["openapi"] == "3.1.0"
