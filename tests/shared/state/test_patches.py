"""Dotted paths: the examples that every language shares, and what holds for all documents."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead.errors import InvalidMessage
from fairlead.state.patches import MAX_PATHS, applied, apply, checked, depth, segments

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "vectors" / "patches.json").read_text())

KEYS = st.sampled_from(["a", "b", "c", "0", "1", "2", "01", "102", ".", "\\", "toString", "ü"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"])
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)


def path_of(keys: tuple[str, ...]) -> str:
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def no_prefixes(ways: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those of *ways* that no earlier one begins or is begun by."""
    kept: list[tuple[str, ...]] = []
    for way in ways:
        if not any(way[: len(other)] == other[: len(way)] for other in kept):
            kept.append(way)
    return kept


WAYS = st.lists(st.lists(KEYS, min_size=1, max_size=4).map(tuple), min_size=1, max_size=6).map(no_prefixes)


@st.composite
def patches(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    paths = [path_of(way) for way in draw(WAYS)]
    count = draw(st.integers(0, len(paths)))
    return {path: draw(DOCUMENTS) for path in paths[:count]}, paths[count:]


def after(document: Any, patch: dict[str, Any], unset: list[str]) -> Any:
    return apply(deepcopy(document), checked(deepcopy(patch), unset))


def at(document: Any, way: list[str]) -> Any:
    for key in way:
        document = document[key if isinstance(document, dict) else int(key)]
    return document


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_examples(vector: dict[str, Any]) -> None:
    if "error" in vector:
        with pytest.raises(InvalidMessage):
            checked(vector["patch"], vector.get("unset", []))
    else:
        assert after(vector["document"], vector["patch"], vector.get("unset", [])) == vector["result"]


def test_every_example_has_a_name_of_its_own() -> None:
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)


@given(DOCUMENTS, patches())
def test_every_patch_can_be_applied_to_every_document(document: Any, patch: tuple[dict[str, Any], list[str]]) -> None:
    sets, unset = patch
    result = after(document, sets, unset)

    assert isinstance(result, dict)
    assert all(at(result, segments(path)) == value for path, value in sets.items())
    for path in unset:
        try:
            assert at(result, segments(path)) is None
        except (KeyError, IndexError, ValueError, TypeError):
            continue


@given(DOCUMENTS, patches())
def test_applied_twice_it_changes_nothing_more(document: Any, patch: tuple[dict[str, Any], list[str]]) -> None:
    once = after(document, *patch)

    assert after(once, *patch) == once


@given(DOCUMENTS, patches())
def test_the_order_of_paths_means_nothing(document: Any, patch: tuple[dict[str, Any], list[str]]) -> None:
    sets, unset = patch

    assert after(document, sets, unset) == after(document, dict(reversed(sets.items())), unset[::-1])


@given(DOCUMENTS, patches(), patches())
def test_patches_of_different_parts_may_come_in_any_order(
    document: Any, one: tuple[dict[str, Any], list[str]], other: tuple[dict[str, Any], list[str]]
) -> None:
    parts = [{segments(path)[0] for path in (*sets, *unset)} for sets, unset in (one, other)]
    assume(not parts[0] & parts[1])

    assert after(after(document, *one), *other) == after(after(document, *other), *one)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=32))
def test_every_key_has_a_path(keys: list[str]) -> None:
    assume(not {"__proto__", "constructor", "prototype"} & set(keys))

    assert segments(path_of(tuple(keys))) == keys


@given(st.text(alphabet="a.\\b"))
def test_a_path_is_the_only_one_for_its_keys(path: str) -> None:
    try:
        keys = segments(path)
    except InvalidMessage:
        return

    assert path_of(tuple(keys)) == path


@pytest.mark.parametrize("paths", [MAX_PATHS + 1, 0])
def test_too_many_paths_and_none_are_refused(paths: int) -> None:
    checked({f"p{number}": 1 for number in range(MAX_PATHS - 1)}, ["gone"])

    with pytest.raises(InvalidMessage, match="1 to 1000 paths"):
        checked({f"p{number}": 1 for number in range(paths)})


def test_the_path_that_is_wrong_is_named_and_not_repeated_in_full() -> None:
    with pytest.raises(InvalidMessage, match=r"'a\.\.b' is no path"):
        checked({"fine": 1, "a..b": 2})
    with pytest.raises(InvalidMessage) as refused:
        checked({"x" * 10_000 + ".": 1})
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(("value", "levels"), [(1, 0), ([], 1), ({"a": [1, {"b": {}}]}, 4)])
def test_how_deep_a_value_is(value: Any, levels: int) -> None:
    assert depth(value) == levels


@given(st.dictionaries(KEYS, DOCUMENTS, max_size=3), patches())
def test_another_document_is_the_same_and_the_old_one_is_as_it_was(
    document: dict[str, Any], change: tuple[dict[str, Any], list[str]]
) -> None:
    patch, unset = change
    assume(patch or unset)
    before = deepcopy(document)

    other = applied(document, checked(deepcopy(patch), unset))

    assert other == after(document, patch, unset)
    assert document == before
    assert other is not document
