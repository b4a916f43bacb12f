"""Keys that an issuer publishes and changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fairlead.errors import Unavailable
from fairlead_gateway.access.claims import Policy
from fairlead_gateway.access.jwks import COOLDOWN_SECONDS, LIFETIME_SECONDS, RETRY_SECONDS, Jwks
from fairlead_gateway.access.keys import secret_key
from fairlead_gateway.access.rejected import TokenRejected, UnknownKey
from fairlead_gateway.access.service import Service
from fairlead_gateway.access.tokens import TokenVerifier
from fairlead_gateway.settings import Settings
from tests.gateway.access.issuer import EC, ED, OTHER_RSA, RSA, SECRET, good, jwk_of, pem_of, signed, unsigned
from tests.gateway.access.web import Web, response, serving

OLD = jwk_of(RSA, "RS256", "old")
NEW = jwk_of(OTHER_RSA, "RS256", "new")
BY_OLD = signed(RSA, "RS256", headers={"kid": "old"})
BY_NEW = signed(OTHER_RSA, "RS256", headers={"kid": "new"})


class Clock:
    """Time that a test moves by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serving({"keys": [OLD]}) as web:
        yield web


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def verifier(web: Web, clock: Clock) -> AsyncIterator[TokenVerifier]:
    jwks = Jwks(Service(web.url, "FAIRLEAD_JWT_JWKS_URL"), always=[secret_key(SECRET)], clock=clock)
    verifier = TokenVerifier((), Policy(), jwks)
    yield verifier
    await verifier.aclose()


async def fetched(web: Web, times: int) -> None:
    """Wait until the issuer was asked *times* times, and what it said has been taken in."""
    await web.was_asked(times)
    if under_way := fetching():
        _, late = await asyncio.wait(under_way, timeout=5)
        assert not late


def fetching() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "fetch signing keys"]


async def test_a_token_of_a_published_key_lets_in_and_the_issuer_is_asked_once(
    web: Web, verifier: TokenVerifier
) -> None:
    many = await asyncio.gather(*(verifier.identify(BY_OLD) for _ in range(50)))

    assert {who.user_id for who in many} == {"42"}
    assert len(web.requests) == 1


async def test_every_kind_of_key_can_be_published(web: Web, verifier: TokenVerifier) -> None:
    web.says({"keys": [OLD, jwk_of(EC, "ES256", "ec"), jwk_of(ED, "EdDSA", "ed")]})

    for key, algorithm, kid in ((RSA, "RS256", "old"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")):
        who = await verifier.identify(signed(key, algorithm, headers={"kid": kid}))
        assert who.user_id == "42"


async def test_a_secret_works_beside_published_keys_and_needs_no_issuer(web: Web, verifier: TokenVerifier) -> None:
    web.answer = response(b"", "500 Oh No")

    assert (await verifier.identify(signed())).user_id == "42"


async def test_a_new_key_is_fetched_when_it_is_first_used(web: Web, verifier: TokenVerifier, clock: Clock) -> None:
    await verifier.identify(BY_OLD)
    web.says({"keys": [OLD, NEW]})
    clock.now += COOLDOWN_SECONDS

    assert (await verifier.identify(BY_NEW)).user_id == "42"
    assert len(web.requests) == 2


async def test_invented_key_names_cost_one_question_in_thirty_seconds(
    web: Web, verifier: TokenVerifier, clock: Clock
) -> None:
    await verifier.identify(BY_OLD)
    clock.now += COOLDOWN_SECONDS

    for name in range(20):
        with pytest.raises(UnknownKey, match="kid: expected the name of one of our keys"):
            await verifier.identify(signed(OTHER_RSA, "RS256", headers={"kid": f"invented-{name}"}))

    assert len(web.requests) == 2


async def test_known_keys_are_used_on_while_the_issuer_is_down(
    web: Web, verifier: TokenVerifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await verifier.identify(BY_OLD)
    web.answer = response(b"", "503 Service Unavailable")
    clock.now += LIFETIME_SECONDS

    assert (await verifier.identify(BY_OLD)).user_id == "42"
    await fetched(web, 2)
    assert (await verifier.identify(signed(RSA, "RS256", headers={"kid": "old"}, role="x"))).role == "x"
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "signing keys not fetched"
    ]


async def test_a_withdrawn_key_lets_nobody_in_any_more_not_even_who_was_believed_before(
    web: Web, verifier: TokenVerifier, clock: Clock
) -> None:
    await verifier.identify(BY_OLD)
    web.says({"keys": [NEW]})
    clock.now += LIFETIME_SECONDS

    await verifier.identify(BY_OLD)  # served with the old keys, while the new ones are fetched
    await fetched(web, 2)

    with pytest.raises(TokenRejected, match="kid"):
        await verifier.identify(BY_OLD)
    assert (await verifier.identify(BY_NEW)).user_id == "42"


async def test_without_any_key_the_answer_is_to_try_again_and_the_issuer_is_left_in_peace(
    web: Web, verifier: TokenVerifier, clock: Clock
) -> None:
    web.answer = response(b"", "503 Service Unavailable")

    for _ in range(5):
        with pytest.raises(Unavailable, match="cannot be fetched"):
            await verifier.identify(BY_OLD)
    assert len(web.requests) == 1

    web.says({"keys": [OLD]})
    clock.now += RETRY_SECONDS
    assert (await verifier.identify(BY_OLD)).user_id == "42"


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"keys": []},
        {"keys": 5},
        {"keys": ["x"]},
        {"keys": [{**OLD, "use": "enc"}]},
        {"keys": [{**OLD, "key_ops": ["encrypt"]}]},
        {"keys": [{**OLD, "key_ops": None}]},
        {"keys": [{**OLD, "n": "AQAB"}]},
        {"keys": [{**OLD, "alg": "none"}]},
        {"keys": [{**OLD, "alg": ["RS256"]}]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "old"}]},
    ],
)
async def test_a_document_without_a_usable_key_lets_nobody_in(document: Any, web: Web, verifier: TokenVerifier) -> None:
    web.says(document)

    with pytest.raises(Unavailable):
        await verifier.identify(BY_OLD)


async def test_a_published_key_verifies_only_the_algorithm_that_it_was_published_for(verifier: TokenVerifier) -> None:
    for forgery in (
        signed(RSA, "RS512", headers={"kid": "old"}),
        signed(pem_of(RSA)[30:80], "HS256", headers={"kid": "old"}),
        unsigned({"alg": "none", "kid": "old"}, good()),
    ):
        with pytest.raises(TokenRejected):
            await verifier.identify(forgery)


async def test_no_token_is_ever_logged(web: Web, verifier: TokenVerifier, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = [BY_OLD, BY_NEW, BY_OLD[:-4], signed(), unsigned({"alg": "none"}, good())]
    web.says({"keys": [OLD, {**NEW, "use": "enc"}]})

    await asyncio.gather(*(verifier.identify(token) for token in tokens), return_exceptions=True)

    said = "".join(f"{record.getMessage()}{vars(record)}" for record in caplog.records)
    assert "signing keys fetched" in said
    assert not [token for token in tokens if token.split(".")[1] in said]


async def test_closing_ends_a_fetch_that_is_under_way(web: Web, clock: Clock) -> None:
    web.waits.clear()
    verifier = TokenVerifier((), Policy(), Jwks(Service(web.url, "X"), clock=clock))
    asking = asyncio.create_task(verifier.identify(BY_OLD))
    await web.was_asked(1)

    await verifier.aclose()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not fetching()


async def test_one_impatient_client_does_not_end_the_fetch_for_the_others(web: Web, verifier: TokenVerifier) -> None:
    web.waits.clear()
    impatient, patient = (asyncio.create_task(verifier.identify(BY_OLD)) for _ in range(2))
    await web.was_asked(1)

    impatient.cancel()
    await asyncio.wait([impatient])
    web.waits.set()

    assert (await patient).user_id == "42"


async def test_the_settings_make_a_verifier_of_published_keys(web: Web) -> None:
    verifier = TokenVerifier.from_settings(Settings(jwt_jwks_url=web.url))

    assert (await verifier.identify(BY_OLD)).user_id == "42"
    await verifier.aclose()
