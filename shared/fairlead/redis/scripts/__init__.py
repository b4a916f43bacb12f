"""Lua scripts by name, as text for new and for old servers."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Final, NamedTuple


class Text(NamedTuple):
    """The source that a server gets, and the digest that it is called by."""

    source: str
    sha: str


class Script(NamedTuple):
    """
    One script.

    Redis before 7.0 does not understand the first line ``#!lua``; from 7.0 on it makes Redis refuse a script
    that it has no memory for before the first write, rather than in the middle.
    """

    name: str
    modern: Text
    old: Text
    sharded: Text
    """For a cluster, where a message is published in its shard only."""

    def text(self, is_modern: bool, is_sharded: bool = False) -> Text:
        """The script for a server that understands ``#!lua``, or for an older one; or for a node of a cluster."""
        if is_sharded:
            return self.sharded
        return self.modern if is_modern else self.old


_PARTS: Final = re.compile(r"^-- parts: ([a-z_ ]+)$", re.MULTILINE)


@cache
def load(name: str, package: str = __name__) -> Script:
    """The script in ``<name>.lua`` of *package*; in place of a line ``-- parts: say`` it gets what ``parts/`` holds."""
    source = files(package).joinpath(f"{name}.lua").read_text(encoding="utf-8")
    source = _PARTS.sub(lambda line: "\n".join(map(_part, line[1].split())), source)
    shebang, _, rest = source.partition("\n")
    if not shebang.startswith("#!lua"):
        raise ValueError(f"{name}.lua must begin with #!lua")
    sharded = source.replace("redis.call('PUBLISH'", "redis.call('SPUBLISH'")
    return Script(name, _text(source), _text(rest), _text(sharded))


@cache
def _part(name: str) -> str:
    return files(f"{__name__}.parts").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def _text(source: str) -> Text:
    return Text(source, sha1(source.encode(), usedforsecurity=False).hexdigest())
