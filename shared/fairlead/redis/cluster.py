"""A cluster: which master has which slots, as its nodes tell, and what of that may be believed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from random import shuffle
from typing import Any, Final, NamedTuple

from redis.exceptions import AskError

from fairlead.redis.address import HostPort

QUESTIONS: Final = (("CLUSTER", "INFO"), ("CLUSTER", "SLOTS"))

ANSWER_SECONDS: Final = 1.0
"""How long one node may take to tell what it knows."""

ASKED: Final = 5
"""Nodes that are asked at once; not always the same, so that it is no matter if some are away."""

_EPOCH = re.compile(r"cluster_current_epoch:(\d+)")


class Layout(NamedTuple):
    """What one node knows."""

    is_ok: bool
    """Whether the node sees a whole cluster; one that is cut off does not."""

    epoch: int
    """Greater where more is known."""

    ranges: Sequence[tuple[int, int, HostPort]]
    """First slot, last slot and master."""


def layout(info: Any, slots: Any, asked: HostPort) -> Layout:
    """What the answers to `QUESTIONS` mean; a node that does not say where it is, is where it was *asked*."""
    text = info.decode() if isinstance(info, bytes) else str(info)
    epoch = _EPOCH.search(text)
    ranges = [(int(first), int(last), _address(master, asked)) for first, last, master, *_ in slots]
    return Layout("cluster_state:ok" in text, int(epoch[1]) if epoch else 0, ranges)


def worth_asking(known: Iterable[HostPort], error: BaseException | None) -> list[HostPort]:
    """Some of the nodes that are *known*, in no order; first the one that *error* says we should have asked."""
    hint = [(error.host, error.port)] if isinstance(error, AskError) and error.host else []
    others = [*{*known} - {*hint}]
    shuffle(others)
    return [*hint, *others][:ASKED]


def believed(layouts: Iterable[Layout]) -> Layout | None:
    """The latest of those that come from the inside of a whole cluster."""
    return max((one for one in layouts if one.is_ok), key=lambda one: one.epoch, default=None)


def _address(master: Sequence[Any], asked: HostPort) -> HostPort:
    host = master[0].decode() if isinstance(master[0], bytes) else master[0]
    return (asked[0] if host in (None, "", "?") else host), int(master[1])
