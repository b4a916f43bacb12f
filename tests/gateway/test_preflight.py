"""What may not be served, and what may."""

from __future__ import annotations

import pytest

from fairlead_gateway.preflight import (
    ADVICE,
    RULES,
    advice,
    broken_rules,
    insecure_defaults,
    is_loopback,
    objections,
    same_port,
    shows_all,
)
from fairlead_gateway.settings import Settings

GOOD_SECRET = "4f6c1f0e9b7a4d2c8e5b3a19d7f2604ce1b8"
SAFE = {"jwt_secret": GOOD_SECRET}

BREACHES = {
    "no_auth": {"jwt_secret": ""},
    "short_secret": {"jwt_secret": "0123456789abcdef"},
    "jwks_in_clear": {"jwt_jwks_url": "http://keys.example.com/jwks.json"},
    "webhook_in_clear": {"alert_webhook_url": "http://hooks.example.com/x"},
    "short_webhook_secret": {"alert_webhook_secret": "0123456789abcdef"},
    "heartbeat": {"heartbeat_interval_seconds": 30.0, "heartbeat_timeout_seconds": 30.0},
    "same_port": {"port": 9000, "admin_port": 9000, "admin_host": "0.0.0.0"},
    "guessable_secret": {"jwt_secret": "change-me-change-me-change-me-change-me"},
    "anonymous": {"allow_anonymous": True},
    "any_origin": {"allowed_origins": ("https://app.example.com", "*")},
    "query_token": {"allow_query_token": True},
    "any_proxy": {"forwarded_allow_ips": "*"},
    "demo": {"demo": ("http://127.0.0.1:8000",)},
}


def settings(host: str, **chosen: object) -> Settings:
    return Settings.model_validate({**SAFE, **chosen, "host": host})


def broken(given: Settings) -> set[str]:
    return {rule.name for rule in broken_rules(given)}


def test_every_rule_has_settings_that_break_it() -> None:
    assert set(BREACHES) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", BREACHES)
def test_settings_that_break_a_rule_are_refused_on_a_public_address_and_told_what_to_set(name: str) -> None:
    given = settings("0.0.0.0", **BREACHES[name])

    why = objections(given)

    assert broken(given) == {name}
    assert len(why) == 1 and "FAIRLEAD_" in why[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "gateway.example.com"])
def test_settings_with_a_random_secret_are_served_anywhere(host: str) -> None:
    assert objections(settings(host)) == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.public_only], ids=lambda rule: str(rule.name))
def test_what_is_unsafe_only_in_public_passes_on_loopback_with_a_warning(rule: object) -> None:
    name = getattr(rule, "name")  # noqa: B009
    given = settings("127.0.0.1", **BREACHES[name])

    assert objections(given) == []
    assert len(insecure_defaults(given)) == 1


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.public_only], ids=lambda rule: str(rule.name))
def test_what_can_never_work_is_refused_on_loopback_too(rule: object) -> None:
    name = getattr(rule, "name")  # noqa: B009

    assert objections(settings("127.0.0.1", **BREACHES[name]))


def test_a_named_breach_is_let_pass_and_only_that_one() -> None:
    both = {**BREACHES["anonymous"], **BREACHES["any_origin"]}

    why = objections(settings("0.0.0.0", **both, insecure=("anonymous",)))

    assert len(why) == 1 and "FAIRLEAD_ALLOWED_ORIGINS" in why[0]


@pytest.mark.parametrize("name", [rule.name for rule in RULES if not rule.waivable])
def test_naming_a_rule_that_cannot_be_waived_changes_nothing(name: str) -> None:
    assert objections(settings("0.0.0.0", **BREACHES[name], insecure=(name,)))


def test_anonymous_access_alone_is_a_way_in() -> None:
    assert objections(settings("127.0.0.1", jwt_secret="", allow_anonymous=True)) == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "admin_host", "port", "admin_port", "workers", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", 9000, 9000, 1, True),
        ("localhost", "127.0.0.1", 9000, 9000, 1, True),
        ("127.0.0.1", "0.0.0.0", 9000, 9000, 1, True),
        ("::", "127.0.0.1", 9000, 9000, 1, True),
        ("10.1.2.3", "127.0.0.1", 9000, 9000, 1, False),
        ("127.0.0.1", "127.0.0.1", 9000, 8999, 1, False),
        ("127.0.0.1", "127.0.0.1", 9000, 8999, 2, True),
        ("127.0.0.1", "127.0.0.1", 9000, 8998, 2, False),
        ("127.0.0.1", "127.0.0.1", 9000, 9001, 4, False),
        ("127.0.0.1", "127.0.0.1", 0, 0, 4, False),
        ("127.0.0.1", "127.0.0.1", 9000, 0, 10000, False),
    ],
)
def test_operators_and_clients_have_ports_of_their_own(
    host: str, admin_host: str, port: int, admin_port: int, workers: int, expected: bool
) -> None:
    given = settings(host, admin_host=admin_host, port=port, admin_port=admin_port)

    assert same_port(given, workers) is expected


# -- who sees what is for operators ------------------------------------------------------------------


SURFACES = [
    ("127.0.0.1", {}, True, []),
    ("127.0.0.1", {"admin_port": 9000}, False, []),
    ("0.0.0.0", {}, False, ["no_admin"]),
    ("0.0.0.0", {"admin_port": 9000}, False, []),
    ("0.0.0.0", {"admin_port": 9000, "admin_host": "10.1.2.3"}, False, []),
    ("0.0.0.0", {"admin_port": 9000, "admin_host": "0.0.0.0"}, False, ["admin_host"]),
    ("0.0.0.0", {"admin_port": 9000, "admin_host": "::"}, False, ["admin_host"]),
    ("0.0.0.0", {"admin_port": 9000, "admin_host": "8.8.8.8"}, False, ["admin_host"]),
    ("0.0.0.0", {"admin_port": 9000, "admin_host": "::", "insecure": ("admin_host",)}, False, []),
    ("0.0.0.0", {"insecure": ("public_admin",)}, True, ["public_admin"]),
    ("0.0.0.0", {"insecure": ("public_admin",), "admin_port": 9000}, False, []),
]


@pytest.mark.parametrize(("host", "chosen", "shown", "said"), SURFACES)
def test_what_is_for_operators_is_shown_to_clients_on_loopback_or_when_asked_for(
    host: str, chosen: dict[str, object], shown: bool, said: list[str]
) -> None:
    given = settings(host, **chosen)

    assert shows_all(given) is shown
    assert [rule.name for rule in advice(given)] == said
    assert objections(given) == []


def test_every_piece_of_advice_is_given_to_some_settings() -> None:
    assert {rule.name for rule in ADVICE} == {name for *_, said in SURFACES for name in said}
