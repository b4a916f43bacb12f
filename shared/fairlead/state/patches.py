r"""
Patches: which values of a JSON document change, named by dotted paths; the same in every language (ST-1).

The grammar::

    patch    = {path: value, …}             values are any JSON, null is a value like others
    unset    = [path, …]                    beside the patch: what is to be gone
    path     = segment *("." segment)       at most 32 segments
    segment  = 1*(any character but "." and "\" | "\." | "\\")

``__proto__``, ``constructor`` and ``prototype`` are no segments. No path of a patch and its unset may begin with
another, nor be the same; there are 1 to 1,000 of them, and a value is nested at most 64 deep. All of that is checked
before a patch is sent, by `checked`.

Applying it cannot fail, whatever the document: all paths are applied at once, so that their order means nothing.

* The document is an object; in place of anything else there is an empty one.
* What is missing or null on the way to a value becomes an object.
* In a list a segment ``0``, ``1``, ``2`` … (no leading zeros) up to 100 beyond its length is a place in it; places
  between are null.
* Anything else that stands in the way of a value, be it a scalar or a list of which some segment is no place, gives
  way to an object: the path wins.
* Unset takes a key out of an object, and makes a place in a list null. What is not there is not made for that.

``tests/vectors/patches.json`` has examples, which every implementation must pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, cast

from fairlead.errors import InvalidMessage

MAX_SEGMENTS: Final = 32

MAX_PATHS: Final = 1000

MAX_VALUE_DEPTH: Final = 64
"""So that no document becomes deeper than codecs carry, behind the longest path and inside a message."""

MAX_DOCUMENT_DEPTH: Final = MAX_SEGMENTS + MAX_VALUE_DEPTH

MAX_PADDING: Final = 100
"""How far beyond the end of a list a place may be; each costs far more memory than its path."""

_FORBIDDEN: Final = frozenset({"__proto__", "constructor", "prototype"})

_SEGMENT: Final = re.compile(r"(?:[^.\\]|\\[.\\])+", re.DOTALL)

_PATH: Final = re.compile(rf"{_SEGMENT.pattern}(?:\.{_SEGMENT.pattern})*", re.DOTALL)

_ESCAPED: Final = re.compile(r"\\([.\\])")

_PLACE: Final = re.compile(r"0|[1-9][0-9]{0,8}")


class Put(NamedTuple):
    """The end of a path: the value that belongs there."""

    value: Any


class _Gone:
    """The end of a path that is to be unset."""


GONE: Final = _Gone()

Tree: TypeAlias = "dict[str, Tree | Put | _Gone]"
"""The paths of a patch, by segment; what it does stands at their ends."""


def segments(path: object) -> list[str]:
    r"""The segments of *path*: ``state.a\.b`` is ``["state", "a.b"]``; `InvalidMessage` if it is none."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise InvalidMessage(rf"{_shown(path)} is no path: segments are joined by dots, \. and \\ stand for . and \ ")
    found = [_ESCAPED.sub(r"\1", segment) for segment in _SEGMENT.findall(path)]
    if len(found) > MAX_SEGMENTS:
        raise InvalidMessage(f"{_shown(path)} has {len(found)} segments; {MAX_SEGMENTS} are allowed")
    if forbidden := _FORBIDDEN.intersection(found):
        raise InvalidMessage(f"{_shown(path)}: no segment may be {min(forbidden)}")
    return found


def checked(patch: object, unset: object = ()) -> Tree:
    """
    *patch* and *unset* as a tree, to be applied once.

    :raises InvalidMessage: they are not as the grammar says; the message names the path.
    """
    if not isinstance(patch, Mapping):
        raise InvalidMessage(f"a patch maps paths to values, which {type(patch).__name__} does not")
    if isinstance(unset, str | Mapping) or not isinstance(unset, Iterable):
        raise InvalidMessage("unset is a list of paths")
    gone = list(unset)
    if not 0 < len(patch) + len(gone) <= MAX_PATHS:
        raise InvalidMessage(f"a patch has 1 to {MAX_PATHS} paths, not {len(patch) + len(gone)}")
    tree: Tree = {}
    for path, value in patch.items():
        _plant(tree, path, Put(value))
    for path in gone:
        _plant(tree, path, GONE)
    return tree


def depth(value: object) -> int:
    """How deep a plain value is nested: 0 for a scalar, 1 for a list of them."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def apply(document: Any, tree: Tree) -> dict[str, Any]:
    """*document* after a patch. Both are used up: it is changed in place, and takes the patch's values over."""
    root = document if isinstance(document, dict) else {}
    _grow(root, tree)
    return root


def applied(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """*document* after a patch, which is another one: what did not change is in both. Neither may be changed."""
    root = _loosened(document, tree)
    _grow(root, tree)
    return cast("dict[str, Any]", root)


def _loosened(container: Any, tree: Tree) -> Any:
    """A copy of *container* as far as *tree* leads into it, so that the patch changes nothing of the old one."""
    copy: Any = dict(container) if isinstance(container, Mapping) else list(container)
    for segment, end in tree.items():
        inner = _at(copy, segment) if isinstance(end, dict) else None
        if isinstance(end, dict) and isinstance(inner, dict | list):
            _put(copy, segment, _loosened(inner, end))
    return copy


def _plant(tree: Tree, path: object, end: Put | _Gone) -> None:
    *way, last = segments(path)
    for segment in way:
        branch = tree.setdefault(segment, {})
        if not isinstance(branch, dict):
            raise _two_in_one(path)
        tree = branch
    if last in tree:
        raise _two_in_one(path)
    tree[last] = end


def _two_in_one(path: object) -> InvalidMessage:
    return InvalidMessage(f"{_shown(path)} begins another path of this patch, or is begun or repeated by one")


def _grow(container: Any, tree: Tree) -> None:
    """Do to *container*, which gives way already, what *tree* says."""
    for segment, end in tree.items():
        if isinstance(end, Put):
            _put(container, segment, end.value)
        elif not isinstance(end, dict):
            _take(container, segment)
        else:
            inner = _at(container, segment)
            if _puts(end):
                inner = _making_way(inner, end)
                _put(container, segment, inner)
            if isinstance(inner, dict | list):
                _grow(inner, end)


def _making_way(old: Any, tree: Tree) -> Any:
    """*old* if *tree* can be put into it, else an empty object."""
    if isinstance(old, dict):
        return old
    if isinstance(old, list):
        places = [_place(segment) for segment, end in tree.items() if _puts(end)]
        if all(0 <= place <= len(old) + MAX_PADDING for place in places):
            old.extend([None] * (max(places) + 1 - len(old)))
            return old
    return {}


def _puts(end: Tree | Put | _Gone) -> bool:
    """Whether anything is put there, so that the way must be made."""
    return any(map(_puts, end.values())) if isinstance(end, dict) else isinstance(end, Put)


def _at(container: Any, segment: str) -> Any:
    if isinstance(container, dict):
        return container.get(segment)
    place = _place(segment)
    return container[place] if 0 <= place < len(container) else None


def _put(container: Any, segment: str, value: Any) -> None:
    container[segment if isinstance(container, dict) else int(segment)] = value


def _take(container: Any, segment: str) -> None:
    if isinstance(container, dict):
        container.pop(segment, None)
    elif 0 <= (place := _place(segment)) < len(container):
        container[place] = None


def _place(segment: str) -> int:
    """Which place of a list a segment is; -1 for none."""
    return int(segment) if _PLACE.fullmatch(segment) else -1


def _shown(path: object) -> str:
    return repr(path) if len(repr(path)) <= 100 else repr(path)[:97] + "…"
