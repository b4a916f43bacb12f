"""What a token's claims open."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_gateway.access.identity import Identity, matches

ADA = Identity("ada", grants={"sessions": ("s1", "team-*"), "topics": ("*",), "devices": ()})


@pytest.mark.parametrize(
    ("channel", "open_"),
    [
        ("broadcast", True),
        ("user:ada", True),
        ("user:bob", False),
        ("user:ada2", False),
        ("session:s1", True),
        ("session:s10", False),
        ("session:team-", True),
        ("session:team-7", True),
        ("session:my-team-7", False),
        ("topic:prices", True),
        ("device:d1", False),
        ("instance:counter", False),
        ("task:t1", False),
        ("connection:c1", False),
        ("", False),
        ("nonsense", False),
        ("admin:s1", False),
    ],
)
def test_claims_open_what_they_name_and_nothing_else(channel: str, open_: bool) -> None:
    assert ADA.claims_allow(channel) is open_


def test_who_has_no_claims_hears_broadcasts_and_what_is_theirs() -> None:
    nobody = Identity("anon", anonymous=True)
    channels = ["broadcast", "user:anon", "session:s1", "instance:i", "topic:t", "task:t", "device:d", "connection:c"]

    assert [channel for channel in channels if nobody.claims_allow(channel)] == ["broadcast", "user:anon"]


@given(st.text("ab*", max_size=12), st.text("ab", max_size=12))
def test_a_star_stands_for_anything(pattern: str, name: str) -> None:
    assert matches(pattern, name) is fnmatchcase(name, pattern)


@given(st.text("a?[]!.^$\\", min_size=1, max_size=8), st.text("a?[]!.^$\\", max_size=8))
def test_every_other_character_stands_for_itself(pattern: str, name: str) -> None:
    assert matches(pattern, name) is (pattern == name)
    assert matches(f"*{pattern}", name) is bool(re.fullmatch(".*" + re.escape(pattern), name))


def test_many_stars_are_matched_without_going_in_circles() -> None:
    assert not matches("*a" * 60 + "b", "a" * 128)
