"""What an upgrade request brings along."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.edge.credentials import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL, Opening, read_opening

JWT = "aaaa.bbbb.cccc"
OURS = ["fairlead.v1.json", "fairlead.v1.msgpack"]


def opening(
    *headers: tuple[bytes, bytes], query: bytes = b"", offered: list[str] | None = None, allow_query_token: bool = False
) -> Opening:
    scope: dict[str, Any] = {
        "type": "websocket",
        "headers": [(b"host", b"app.example.com"), (b"upgrade", b"websocket"), *headers],
        "query_string": query,
        "subprotocols": offered or [],
    }
    return read_opening(scope, allow_query_token=allow_query_token)


def bearer(token: str, scheme: str = "Bearer") -> tuple[bytes, bytes]:
    return b"authorization", f"{scheme} {token}".encode()


# -- who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_header_brings_a_token(scheme: str) -> None:
    assert opening(bearer(JWT, scheme)) == Opening("token", JWT)


def test_a_bearer_subprotocol_brings_a_token_and_is_never_answered() -> None:
    assert opening(offered=[f"bearer.{JWT}", *OURS]) == Opening("token", JWT, JSON_SUBPROTOCOL)
    assert opening(offered=[f"bearer.{JWT}"]).subprotocol is None


def test_a_ticket_comes_in_the_query() -> None:
    assert opening(query=b"ticket=abc-_123") == Opening("ticket", "abc-_123")


def test_without_a_credential_the_first_frame_must_bring_one() -> None:
    assert opening() == Opening()


def test_credentials_are_looked_for_in_the_order_of_the_protocol() -> None:
    everything: dict[str, Any] = {
        "query": b"token=in-query&ticket=in-ticket",
        "offered": ["bearer.in-subprotocol"],
        "allow_query_token": True,
    }

    assert opening(bearer("in-header"), **everything).credential == "in-header"
    assert opening(**everything).credential == "in-subprotocol"
    assert opening(**everything | {"offered": []}) == Opening("ticket", "in-ticket")
    assert opening(query=b"token=in-query", allow_query_token=True) == Opening("token", "in-query")


def test_a_bad_credential_hides_a_good_one_behind_it() -> None:
    """Else a stale header would be passed over in silence, and nobody would learn that it is stale."""
    assert opening(bearer(""), offered=[f"bearer.{JWT}"]) == Opening("token", "")


@pytest.mark.parametrize("value", [b"Basic dXNlcjpwYXNz", b"Bearer", b"", b"Token x", b"BearerX y"])
def test_another_scheme_of_authorization_is_no_credential_of_ours(value: bytes) -> None:
    assert opening((b"authorization", value), query=b"ticket=t") == Opening("ticket", "t")


def test_a_token_in_the_query_counts_only_where_that_is_switched_on() -> None:
    assert opening(query=b"token=x") == Opening(refused_query_token=True)
    assert opening(query=b"token=x&ticket=t") == Opening("ticket", "t", refused_query_token=True)
    assert opening(query=b"token=x", allow_query_token=True) == Opening("token", "x")


def test_what_is_escaped_in_the_query_is_read_and_the_first_of_two_counts() -> None:
    assert opening(query=b"x=1&ticket=%61b%63&ticket=other").credential == "abc"


# -- subprotocols and waiting --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ([], None),
        (OURS, JSON_SUBPROTOCOL),
        (OURS[::-1], MSGPACK_SUBPROTOCOL),
        (["graphql-ws", MSGPACK_SUBPROTOCOL], MSGPACK_SUBPROTOCOL),
        (["graphql-ws"], None),
        (["FAIRLEAD.V1.JSON"], None),
        (["fairlead.v2.json"], None),
    ],
)
def test_the_first_subprotocol_of_ours_that_is_offered_is_answered(offered: list[str], answered: str | None) -> None:
    assert opening(offered=offered).subprotocol == answered


@pytest.mark.parametrize(
    ("query", "waits"),
    [
        (b"wait=connect", True),
        (b"a=b&wait=connect&c", True),
        (b"", False),
        (b"wait", False),
        (b"wait=1", False),
        (b"wait=&wait=connect", False),
    ],
)
def test_a_client_with_positions_asks_the_server_to_wait(query: bytes, waits: bool) -> None:
    assert opening(query=query).waits is waits


# -- robustness ----------------------------------------------------------------------------------


def test_an_opening_does_not_show_its_credential() -> None:
    assert JWT not in repr(opening(bearer(JWT)))


@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"cookie"]), st.binary(max_size=30)), max_size=3),
    st.binary(max_size=40) | st.from_regex(rb"((ticket|token|wait)=[%&a-z0-9\xff]*&?)*", fullmatch=True),
    st.lists(st.text(max_size=20) | st.sampled_from([*OURS, "bearer.", f"bearer.{JWT}"]), max_size=4),
)
def test_no_request_makes_the_reading_stumble(
    headers: list[tuple[bytes, bytes]], query: bytes, offered: list[str]
) -> None:
    read = opening(*headers, query=query, offered=offered)

    assert read.subprotocol is None or read.subprotocol in offered
    assert (read.kind == "none") <= (read.credential == "")
    assert b"ticket=" in query or read.kind != "ticket"
