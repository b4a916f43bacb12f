"""Who may use which route: every row of the table, asked by every rank and by all who have none."""

from __future__ import annotations

import httpx2
import pytest

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import PREFIX, Row
from fairlead_gateway.rest.table import ROWS
from tests.gateway.rest.callers import STRANGERS, headers_of
from tests.support.replica import Replica

every_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.method} {row.path}" for row in ROWS])


def asked(replica: Replica, row: Row, headers: dict[str, str]) -> httpx2.Response:
    """What *row* answers to a caller who names nobody in particular, and says nothing that has a meaning."""
    path = row.path
    for name in row.in_path:
        path = path.replace(f"{{{name}}}", "nobody-in-particular")
    body = {"content": b"{}", "headers": {**headers, "content-type": "application/json"}} if row.method != "GET" else {}
    return httpx2.request(row.method, replica.http + PREFIX + path, **({"headers": headers} | body), timeout=20)


@every_row
@pytest.mark.parametrize("rank", Rank, ids=lambda rank: rank.name.lower())
def test_a_rank_may_what_it_and_those_below_it_may(replica: Replica, row: Row, rank: Rank) -> None:
    answer = asked(replica, row, headers_of(rank))

    if rank < row.rank:
        assert answer.status_code == 403
        assert row.rank.name.lower() in answer.json()["detail"]
    elif row.rank is Rank.USER and rank < Rank.ADMIN:
        assert answer.status_code != 401, answer.text
        assert answer.status_code != 403 or "forbidden" in row.errors, "a row that narrows down says so"
    else:
        assert answer.status_code not in (401, 403), answer.text


@every_row
@pytest.mark.parametrize("stranger", STRANGERS)
def test_nobody_gets_in_without_a_good_token(replica: Replica, row: Row, stranger: str) -> None:
    answer = asked(replica, row, STRANGERS[stranger])

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


def test_two_tokens_are_none(replica: Replica) -> None:
    twice = [("authorization", headers_of(rank)["Authorization"]) for rank in (Rank.USER, Rank.ADMIN)]

    answer = httpx2.get(f"{replica.http}{PREFIX}/config", headers=twice)

    assert answer.status_code == 401
