"""``fairlead config``: what is set, what can be set, and what is unsafe about it."""

from __future__ import annotations

import os
import re
import textwrap
from typing import Any, Final

import typer
from pydantic import SecretStr

from fairlead_gateway.cli.configured import load
from fairlead_gateway.cli.devfile import find
from fairlead_gateway.cli.output import Json, Status, note, say, say_json, table
from fairlead_gateway.cli.serve import unusable
from fairlead_gateway.preflight import Rule, advice, broken_rules, is_waived
from fairlead_gateway.settings import PREFIX, Settings, unknown

_PASSWORD_OF_URL: Final = re.compile(r"(?<=://)([^\s/@:]*):[^\s/@]+(?=@)")
_ADDRESSES: Final = frozenset({"redis_url"})
"""Secrets of which only the password is one."""

_WIDTH: Final = 110

app = typer.Typer(name="config", help="Show and check settings.")


@app.command()
def show(as_json: Json = False) -> Status:
    """Print every setting as it is now; secrets are left out."""
    settings = _of_serve()
    values = {name: shown(name, getattr(settings, name)) for name in Settings.model_fields}
    if as_json:
        say_json(values)
        return Status.OK
    chosen = settings.model_fields_set
    rows = [
        {"name": variable(name), "from": "set" if name in chosen else "default", "value": written(value)}
        for name, value in values.items()
    ]
    table(rows, ("name", "from", "value"))
    return Status.OK


@app.command()
def env(as_json: Json = False) -> Status:
    """Print every variable with its default and what it means, ready for an .env file."""
    fields = Settings.model_fields
    defaults = {name: shown(name, field.default) for name, field in fields.items()}
    if as_json:
        say_json({variable(name): {"default": defaults[name], "help": _help(name)} for name in fields})
        return Status.OK
    for name in fields:
        for line in textwrap.wrap(_help(name), _WIDTH):
            say(f"# {line}")
        say(f"# {variable(name)}={written(defaults[name])}")
        say("")
    return Status.OK


@app.command()
def check(as_json: Json = False) -> Status:
    """Say what a replica would refuse to start with, what was waived, and what is no setting; status 3 when refused."""
    settings = _of_serve()
    broken = broken_rules(settings)
    wrong = list(unusable(settings))
    is_refused = bool(wrong) or not all(is_waived(rule, settings) for rule in broken)
    if as_json:
        findings = [_finding(rule, settings) for rule in broken]
        findings += [{"rule": name, "sentence": why_not, "waived": False} for name, why_not in wrong]
        told = [rule.sentence for rule in advice(settings)]
        say_json({"ok": not is_refused, "findings": findings, "advice": told, "unknown": unknown(os.environ)})
    else:
        _tell(broken, wrong, settings)
    return Status.CONFIGURATION if is_refused else Status.OK


def _of_serve() -> Settings:
    """The settings that ``fairlead serve`` would have, whatever runs here."""
    if server := find():
        note(f"these are the settings of fairlead serve; fairlead dev (process {server.pid}) makes its own")
    return load()


def _finding(rule: Rule, settings: Settings) -> dict[str, object]:
    return {"rule": rule.name, "sentence": rule.sentence, "waived": is_waived(rule, settings)}


def _tell(broken: list[Rule], wrong: list[tuple[str, str]], settings: Settings) -> None:
    for rule in broken:
        say(f"{'waived' if is_waived(rule, settings) else 'refused'}  {rule.name}: {rule.sentence}")
    for name, why_not in wrong:
        say(f"refused  {name}: {why_not}")
    for rule in advice(settings):
        say(f"advice  {rule.name}: {rule.sentence}")
    for name, nearest in unknown(os.environ).items():
        say(f"unknown  {name} is no setting{nearest and f': {nearest} is'}")
    if not broken and not wrong:
        say(f"these settings may be served on {settings.host}")


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def shown(name: str, value: Any) -> Any:
    """*value* without what must stay secret: passwords inside addresses, and the whole of keys."""
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(value, SecretStr) and name not in _ADDRESSES:
        return "(set)" if plain else ""
    if isinstance(plain, str):
        return _PASSWORD_OF_URL.sub(r"\1:***", plain)
    return list(plain) if isinstance(plain, tuple) else plain


def written(value: Any) -> str:
    """*value* as it stands in the environment."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ",".join(value)
        case _:
            return str(value)


def _help(name: str) -> str:
    return " ".join((Settings.model_fields[name].description or "").split()).replace("``", "")
