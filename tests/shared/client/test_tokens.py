"""Tokens: where they come from, and when the next one is due."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.client.tokens import Life, TokenReason, Tokens, life_of
from fairlead.errors import InvalidMessage


def jwt(**claims: object) -> str:
    return f"e30.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.sig"


def test_the_life_of_a_token_is_what_it_says() -> None:
    assert life_of(jwt(iat=1000, exp=4600), now=2000.0) == Life(1000.0, 4600.0)
    assert life_of(jwt(exp=4600), now=2000.0) == Life(2000.0, 4600.0)
    assert life_of(jwt(iat=5000, exp=4600), now=2000.0) == Life(2000.0, 4600.0)


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b", "a.b.c", "a.!!.c", jwt(), jwt(exp="soon"), "a." + "e" * 7 + ".c", "e30.W10.x"]
)
def test_a_token_that_does_not_say_has_no_end(token: str) -> None:
    assert life_of(token, now=0.0) is None


@given(st.text(max_size=60))
def test_nothing_is_too_strange_to_be_looked_at(token: str) -> None:
    life = life_of(token, now=0.0)

    assert life is None or life.begin < life.end or life.begin == 0.0


@pytest.mark.parametrize(("life", "due"), [(Life(0, 3600), 3570), (Life(0, 100), 90), (Life(50, 60), 59)])
def test_the_next_one_is_due_thirty_seconds_before_or_at_nine_tenths(life: Life, due: float) -> None:
    assert life.due == due


async def test_a_function_is_asked_until_its_token_is_refused_or_has_ended() -> None:
    asked: list[TokenReason] = []

    async def source(reason: TokenReason) -> str:
        asked.append(reason)
        return jwt(iat=0, exp=1000, number=len(asked))

    tokens = Tokens(source)
    first = await tokens.current(10.0)
    same = await tokens.current(20.0)
    tokens.refused()
    second = await tokens.current(30.0)
    await tokens.current(1000.0)

    assert first == same != second
    assert asked == ["connect", "refused", "connect"]


async def test_who_connects_anew_is_asked_anew() -> None:
    asked: list[TokenReason] = []
    tokens = Tokens(lambda reason: asked.append(reason) or "a-token")
    for _ in range(2):
        tokens.begin()
        await tokens.current(0.0)
        await tokens.current(0.0)
    tokens.refused()
    tokens.begin()
    await tokens.current(0.0)

    assert asked == ["connect", "connect", "connect"]


async def test_a_function_need_not_be_a_coroutine() -> None:
    assert await Tokens(lambda reason: f"for-{reason}").current(0.0) == "for-connect"
    assert await Tokens(lambda reason: None).current(0.0) == ""


async def test_a_string_is_always_the_same() -> None:
    tokens = Tokens("mine")
    tokens.refused()

    assert await tokens.current(0.0) == "mine"
    assert not tokens.renews


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Evil: 1", "ä", "a\x00"])
async def test_what_cannot_stand_in_a_header_is_no_token(token: str) -> None:
    with pytest.raises(InvalidMessage):
        Tokens(token)
    with pytest.raises(InvalidMessage):
        await Tokens(lambda reason: token).current(0.0)
