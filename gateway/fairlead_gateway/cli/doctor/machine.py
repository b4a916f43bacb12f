"""This machine and the settings of this shell."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Iterator

from fairlead.version import __version__
from fairlead_gateway import preflight
from fairlead_gateway.cli.doctor.finding import Finding, advice, good, wrong
from fairlead_gateway.cli.serve import unusable
from fairlead_gateway.settings import Settings, unknown

SPARE_FILES = 256
"""Beside its sockets a replica has files open to Redis, logs and libraries."""


def version() -> Iterator[Finding]:
    """Which Fairlead this is, and what it runs on."""
    python = ".".join(map(str, sys.version_info[:3]))
    facts = {"version": __version__, "python": python, "system": platform.platform(terse=True)}
    yield good("version", f"fairlead {__version__} on Python {python}", **facts)


def settings_of(settings: Settings) -> Iterator[Finding]:
    """What a replica with *settings* would refuse to start with, and what it would have to say about them."""
    found = [*_broken(settings), *_unusable(settings), *_advised(settings), *_unknown()]
    yield from found
    if not found:
        yield good("settings", f"these may be served on {settings.host}", host=settings.host)


def files_of(settings: Settings) -> Iterator[Finding]:
    """Whether a replica started here could hold as many sockets as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # a replica raises the soft limit itself
    needed = settings.max_connections + SPARE_FILES
    facts = {"limit": hard, "needed": needed}
    if hard == resource.RLIM_INFINITY or hard >= needed:
        yield good("files", f"a replica may open {'any number of' if hard < 0 else hard} files", **facts)
        return
    yield advice(
        "files",
        f"a replica may open {hard} files here, which is fewer than FAIRLEAD_MAX_CONNECTIONS={settings.max_connections}"
        " needs",
        "raise it (LimitNOFILE= in systemd, ulimits: in Docker, ulimit -Hn), or lower FAIRLEAD_MAX_CONNECTIONS",
        **facts,
    )


def _broken(settings: Settings) -> Iterator[Finding]:
    for rule in preflight.broken_rules(settings):
        if preflight.is_waived(rule, settings):
            yield advice("settings", f"{rule.name} is waived: {rule.sentence}", "make sure that this is wanted")
        else:
            yield wrong("settings", f"{rule.name}: a replica would not start", rule.sentence, rule=rule.name)


def _unusable(settings: Settings) -> Iterator[Finding]:
    for variable, why_not in unusable(settings):
        yield wrong("settings", f"{variable} cannot be used", why_not, variable=variable)


def _advised(settings: Settings) -> Iterator[Finding]:
    for rule in preflight.advice(settings):
        yield advice("settings", rule.name, rule.sentence, rule=rule.name)


def _unknown() -> Iterator[Finding]:
    for name, nearest in unknown(os.environ).items():
        meant = f"{nearest} is one; rename it" if nearest else "see `fairlead config env` for those that are"
        yield advice("settings", f"{name} is no setting", meant, variable=name)
