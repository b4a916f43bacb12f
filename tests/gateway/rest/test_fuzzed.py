"""Every route, asked whatever its description allows and what it does not, by everybody: none of them breaks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Final

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from websockets.sync.client import connect

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.openapi import document
from fairlead_gateway.rest.route import PREFIX, Row
from fairlead_gateway.rest.table import ROWS
from tests.gateway.rest.callers import STRANGERS, headers_of
from tests.support.replica import Replica, token

SCALE: Final = float(os.environ.get("FAIRLEAD_TEST_SCALE", "0.2"))
"""1 for as many examples as one could wish for."""

SECONDS: Final = 20.0

DESCRIBED: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

SCHEMA: Final = schemathesis.openapi.from_dict(document(ROWS))
# Who asks is ours to say.
SCHEMA.config.generation.update(with_security_parameters=False)

# Of the fuzzer itself, about itself.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

every_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.method} {row.path}" for row in ROWS])


def fuzz(
    replica: Replica,
    row: Row,
    mode: GenerationMode,
    headers: Mapping[str, str],
    examples: int,
    id: str = "",
) -> set[int]:
    """
    Ask *row* of *replica* so many different things.

    :param id: what stands in the path; empty for anything.
    :returns: the statuses of the answers, all of which are as described.
    """
    operation = SCHEMA[PREFIX + row.path][row.method]
    path = dict.fromkeys(row.in_path, id) if id else None
    statuses: set[int] = set()
    checks = [*DESCRIBED, *([negative_data_rejection] if mode is GenerationMode.NEGATIVE else [])]

    @settings(
        max_examples=max(1, round(examples * SCALE)),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=path))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(base_url=replica.http, headers=dict(headers), timeout=SECONDS)
        case.validate_response(answer, checks=checks, headers=dict(headers))
        assert answer.headers["cache-control"] == ["no-store"]
        statuses.add(answer.status_code)

    ask()
    return statuses


@pytest.fixture(scope="module")
def somebody(replica: Replica) -> Iterator[str]:
    """A connection of the user ``42`` in the session ``s1``, after another one that has been ended; its id."""
    bearer = {"Authorization": f"Bearer {token('42')}"}
    with connect(f"{replica.url}/chat/session/s1", additional_headers=bearer) as ended:
        ended.recv(SECONDS)
        url = f"{replica.http}{PREFIX}/users/disconnect"
        body = {"user_id": "42", "reason": "to have one that has ended"}
        httpx2.post(url, json=body, headers=headers_of(Rank.ADMIN)).raise_for_status()
    with connect(f"{replica.url}/chat/session/s1", additional_headers=bearer) as client:
        yield str(json.loads(client.recv(SECONDS))["connection_id"])


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "GET"], ids=lambda row: row.path)
def test_what_there_is_is_shown_as_described(replica: Replica, somebody: str, row: Row) -> None:
    statuses = fuzz(replica, row, GenerationMode.POSITIVE, headers_of(Rank.ADMIN), 15)
    for id in ("42", "s1", somebody):
        statuses |= fuzz(replica, row, GenerationMode.POSITIVE, headers_of(Rank.ADMIN), 15, id)

    assert row.status in statuses or row.errors


@every_row
def test_who_may_gets_what_is_described(replica: Replica, row: Row) -> None:
    statuses = fuzz(replica, row, GenerationMode.POSITIVE, headers_of(Rank.ADMIN), 150)

    assert 401 not in statuses
    assert 403 not in statuses or "forbidden" in row.errors


@every_row
def test_what_is_not_described_is_refused(replica: Replica, row: Row) -> None:
    operation = SCHEMA[PREFIX + row.path][row.method]
    if not list(operation.iter_parameters()) and not operation.body:
        assert fuzz(replica, row, GenerationMode.POSITIVE, headers_of(Rank.ADMIN), 1) == {row.status}
        return
    statuses = fuzz(replica, row, GenerationMode.NEGATIVE, headers_of(row.rank), 150)

    assert 401 not in statuses


@every_row
def test_whose_rank_is_too_low_is_told_so_whatever_is_asked(replica: Replica, row: Row) -> None:
    for rank in Rank:
        if rank < row.rank:
            assert fuzz(replica, row, GenerationMode.POSITIVE, headers_of(rank), 10) == {403}


@every_row
@pytest.mark.parametrize("stranger", ["nobody", "a foreign token"])
def test_who_is_nobody_learns_nothing_whatever_is_asked(replica: Replica, row: Row, stranger: str) -> None:
    assert fuzz(replica, row, GenerationMode.POSITIVE, STRANGERS[stranger], 10) == {401}
