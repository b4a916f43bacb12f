"""Which tokens a revocation is about, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.access.revocations import Revocation, Revocations

T = 1_000.5
TOKEN = Revocation("1", "jti-1", "", 0.0, 2_000.0, T, "root")
USER = Revocation("2", "", "ada", T, 2_000.0, T, "root")


def who(user: str = "ada", token_id: str = "", issued_at: float | None = None, **more: bool) -> Identity:
    return Identity(user, token_id=token_id, issued_at=issued_at, **more)


@pytest.mark.parametrize(
    ("revocation", "identity", "is_revoked"),
    [
        (TOKEN, who(token_id="jti-1"), True),
        (TOKEN, who("bob", token_id="jti-1", issued_at=5_000), True),
        (TOKEN, who(token_id="jti-2"), False),
        (TOKEN, who(), False),
        (USER, who(issued_at=1_000), True),
        (USER, who(issued_at=1_000.5), False),
        (USER, who(issued_at=1_001), False),
        (USER, who(issued_at=None), True),
        (USER, who("bob", issued_at=1), False),
        (USER, who(anonymous=True), False),
    ],
)
def test_whom_a_revocation_is_about(revocation: Revocation, identity: Identity, is_revoked: bool) -> None:
    known = Revocations()
    known.take([revocation], now=T)

    assert known.revokes(identity) is is_revoked
    if is_revoked:
        with pytest.raises(TokenRejected, match="revoked") as caught:
            known.check(identity)
        assert caught.value.expired, "a fresh token will do"


def test_what_has_ended_is_forgotten_and_not_taken_again() -> None:
    known = Revocations()
    assert known.take([TOKEN, TOKEN, USER], now=T) == [TOKEN, USER]
    assert known.take([TOKEN], now=T) == []

    known.forget(1_999.9)
    assert len(known) == 2
    known.forget(2_000.0)

    assert (len(known), known.revokes(who(token_id="jti-1", issued_at=1))) == (0, False)
    assert known.take([TOKEN], now=2_000.0) == []


REVOCATIONS = st.builds(
    lambda number, token, user, before, until: Revocation(
        str(number), token, "" if token else user, before, until, 0.0, "root"
    ),
    st.integers(0, 20),
    st.sampled_from(["", "t1", "t2"]),
    st.sampled_from(["ada", "bob"]),
    st.integers(0, 10),
    st.integers(1, 10),
)


@given(st.lists(REVOCATIONS, max_size=12), st.integers(0, 10))
def test_it_is_as_if_each_were_looked_at(found: list[Revocation], now: int) -> None:
    known, by_id = Revocations(), {}
    for one in found:
        if one.until > 0:
            by_id.setdefault(one.id, one)
    known.take(found, now=0)
    known.forget(now)

    going_on = [one for one in by_id.values() if one.until > now]
    assert sorted(known) == sorted(going_on)
    for identity in (who(token_id="t1", issued_at=3), who("bob", token_id="t2", issued_at=7), who(issued_at=None)):
        assert known.revokes(identity) is any(one.is_about(identity) for one in going_on)
