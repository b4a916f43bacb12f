"""What must not be served: the table of settings, and pairs of settings, that a replica refuses to start with."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from fairlead_gateway.settings import Settings

SAME_PORT: Final = (
    "operators and clients cannot have one port between them: set FAIRLEAD_ADMIN_PORT to another than FAIRLEAD_PORT "
    "(each of several workers takes one, from there on)"
)

MIN_SECRET_BYTES: Final = 32
"""RFC 7518 §3.2: a key of HS256 has at least as many bits as its hash."""

PUBLIC_ADMIN: Final = "public_admin"
"""``FAIRLEAD_INSECURE=public_admin`` serves what is for operators to whoever has a token that lets them."""

_PLACEHOLDERS: Final = ("change", "secret", "password", "example", "default", "fairlead", "test", "dev")
_MIN_DISTINCT: Final = 10


class Rule(NamedTuple):
    """One thing that is wrong with settings, and the sentence that says what to set."""

    name: str
    broken: Callable[[Settings], bool]
    sentence: str
    public_only: bool = False
    """Only where others than this machine can connect."""

    waivable: bool = False
    """``FAIRLEAD_INSECURE=<name>`` lets it pass."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to *host*; a name that is not ``localhost`` is taken for public."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def shows_all(settings: Settings) -> bool:
    """Whether what is for operators is served where clients connect (T16)."""
    return not settings.admin_port and (is_loopback(settings.host) or PUBLIC_ADMIN in settings.insecure)


def same_port(settings: Settings, workers: int = 1) -> bool:
    """Whether the listener of operators, of any of *workers*, would be bound where clients connect."""
    first = settings.admin_port
    return 0 < first <= settings.port < first + workers and _overlap(settings.host, settings.admin_host)


def _overlap(one: str, other: str) -> bool:
    """Whether a port of the host *one* may be a port of *other*, too."""
    hosts = {"127.0.0.1" if host == "localhost" else host.strip("[]") for host in (one, other)}
    return len(hosts) == 1 or any(_is_unspecified(host) for host in hosts)


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return not host


def _secret(settings: Settings) -> str:
    return settings.jwt_secret.get_secret_value()


def _nobody_may_enter(settings: Settings) -> bool:
    ways_in = (_secret(settings), settings.jwt_public_key, settings.jwt_jwks_url, settings.allow_anonymous)
    return not any(ways_in)


def _secret_is_short(settings: Settings) -> bool:
    return 0 < len(_secret(settings).encode()) < MIN_SECRET_BYTES


def _secret_is_guessable(settings: Settings) -> bool:
    secret = _secret(settings).lower()
    return bool(secret) and (len(set(secret)) < _MIN_DISTINCT or secret.startswith(_PLACEHOLDERS))


def _is_for_anybody(host: str) -> bool:
    """Whether *host* may be an address that the whole world reaches."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.is_unspecified or address.is_global


def _in_clear(address: str) -> bool:
    """Whether what goes there can be read on the way."""
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    return bool(address) and url.scheme != "https" and not is_loopback(url.hostname or "")


def _webhook_secret_is_short(settings: Settings) -> bool:
    return 0 < len(settings.alert_webhook_secret.get_secret_value().encode()) < MIN_SECRET_BYTES


RULES: Final = (
    Rule(
        "no_auth",
        _nobody_may_enter,
        "nobody could connect: set FAIRLEAD_JWT_SECRET (32 random bytes or more), FAIRLEAD_JWT_PUBLIC_KEY or "
        "FAIRLEAD_JWT_JWKS_URL",
    ),
    Rule(
        "short_secret",
        _secret_is_short,
        f"FAIRLEAD_JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes: set one made by `openssl rand -hex 32`",
    ),
    Rule(
        "jwks_in_clear",
        lambda settings: _in_clear(settings.jwt_jwks_url),
        "whoever sits on the way could replace the keys: set FAIRLEAD_JWT_JWKS_URL to an https:// address",
    ),
    Rule(
        "webhook_in_clear",
        lambda settings: _in_clear(settings.alert_webhook_url.get_secret_value()),
        "whoever sits on the way could read and change alerts: set FAIRLEAD_ALERT_WEBHOOK_URL to an https:// address",
    ),
    Rule(
        "short_webhook_secret",
        _webhook_secret_is_short,
        f"FAIRLEAD_ALERT_WEBHOOK_SECRET is shorter than {MIN_SECRET_BYTES} bytes: set one made by "
        "`openssl rand -hex 32`",
    ),
    Rule(
        "heartbeat",
        lambda settings: settings.heartbeat_timeout_seconds <= settings.heartbeat_interval_seconds,
        "every quiet client would be cut off: set FAIRLEAD_HEARTBEAT_TIMEOUT_SECONDS above "
        "FAIRLEAD_HEARTBEAT_INTERVAL_SECONDS",
    ),
    Rule("same_port", same_port, SAME_PORT),
    Rule(
        "guessable_secret",
        _secret_is_guessable,
        "FAIRLEAD_JWT_SECRET looks like a placeholder: set one made by `openssl rand -hex 32`",
        public_only=True,
    ),
    Rule(
        "anonymous",
        lambda settings: settings.allow_anonymous,
        "anyone may connect without a token: unset FAIRLEAD_ALLOW_ANONYMOUS",
        public_only=True,
        waivable=True,
    ),
    Rule(
        "any_origin",
        lambda settings: "*" in settings.allowed_origins,
        "any web page may connect in its visitor's name: set FAIRLEAD_ALLOWED_ORIGINS to your own origins",
        public_only=True,
        waivable=True,
    ),
    Rule(
        "query_token",
        lambda settings: settings.allow_query_token,
        "tokens in URLs end up in the logs of proxies: unset FAIRLEAD_ALLOW_QUERY_TOKEN and use tickets",
        public_only=True,
        waivable=True,
    ),
    Rule(
        "any_proxy",
        lambda settings: any(everybody in settings.forwarded_allow_ips for everybody in ("*", "/0")),
        "any client may claim any address: set FAIRLEAD_FORWARDED_ALLOW_IPS to the addresses of your proxies",
        public_only=True,
        waivable=True,
    ),
    Rule(
        "demo",
        lambda settings: bool(settings.demo),
        "the demonstration page gives tokens to whoever asks: unset FAIRLEAD_DEMO",
        public_only=True,
    ),
)
"""Every rule, in the order in which they are told."""


ADVICE: Final = (
    Rule(
        "no_admin",
        lambda settings: not settings.admin_port and not shows_all(settings),
        "dashboard, /metrics and what operators do over HTTP are served nowhere: set FAIRLEAD_ADMIN_PORT "
        f"(or FAIRLEAD_INSECURE={PUBLIC_ADMIN}, to have them where clients connect)",
    ),
    Rule(
        PUBLIC_ADMIN,
        lambda settings: shows_all(settings) and not is_loopback(settings.host),
        "what is for operators is served where clients connect, /metrics and the files of pages without a token: set "
        "FAIRLEAD_ADMIN_PORT to have it on an address of its own",
    ),
    Rule(
        "admin_host",
        lambda settings: bool(settings.admin_port) and _is_for_anybody(settings.admin_host),
        "the listener of operators is open to whoever reaches this machine: set FAIRLEAD_ADMIN_HOST to a loopback or "
        "inner address, or have a firewall or NetworkPolicy before it",
        waivable=True,
    ),
)
"""What may be served, and is worth a word at the start."""


def advice(settings: Settings) -> list[Rule]:
    """What an operator with *settings* should know."""
    return [rule for rule in ADVICE if rule.broken(settings) and not is_waived(rule, settings)]


def broken_rules(settings: Settings) -> list[Rule]:
    """Rules that *settings* break, waived ones too."""
    public = not is_loopback(settings.host)
    return [rule for rule in RULES if (public or not rule.public_only) and rule.broken(settings)]


def is_waived(rule: Rule, settings: Settings) -> bool:
    """Whether the breach is wanted: the operator named it."""
    return rule.waivable and rule.name in settings.insecure


def objections(settings: Settings) -> list[str]:
    """Why a replica with *settings* must not start; empty when it may."""
    return [_objection(rule) for rule in broken_rules(settings) if not is_waived(rule, settings)]


def _objection(rule: Rule) -> str:
    waiver = f" (or FAIRLEAD_INSECURE={rule.name}, if that is wanted)" if rule.waivable else ""
    return rule.sentence + waiver


def insecure_defaults(settings: Settings) -> list[str]:
    """What would be refused on a public address and is let pass here: one warning each."""
    return [rule.sentence for rule in RULES if rule.public_only and rule.broken(settings)]
