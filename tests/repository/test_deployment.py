"""Compose file and image: three replicas behind Nginx, without root, in agreement with the settings."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.version import __version__
from fairlead_gateway.preflight import advice, objections
from fairlead_gateway.settings import Settings
from tests.support.nginx import shipped

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REPLICAS = {name: service for name, service in SERVICES.items() if name.startswith("replica-")}

# Keys of the Compose specification that we use: a misspelt one would be ignored by nobody but us.
SERVICE_KEYS = {
    *("build", "image", "command", "environment", "restart", "depends_on", "healthcheck", "stop_grace_period"),
    *("ports", "networks", "volumes", "tmpfs", "read_only", "ulimits", "cap_drop", "security_opt"),
}


def instruction(name: str) -> str:
    """The arguments of the last instruction *name* of the Dockerfile."""
    joined = DOCKERFILE.replace("\\\n", " ")
    found: list[str] = re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)
    return found[-1]


def test_the_file_holds_what_compose_knows() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"name", "services", "networks", "volumes"}
    assert {key for service in SERVICES.values() for key in service} <= SERVICE_KEYS
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", [])) <= set(SERVICES)


def test_three_replicas_with_names_of_their_own_share_one_redis() -> None:
    environments = [service["environment"] for service in REPLICAS.values()]

    assert len(environments) == 3
    assert len({env["FAIRLEAD_REPLICA"] for env in environments}) == 3
    assert {env["FAIRLEAD_REDIS_URL"] for env in environments} == {"redis://valkey:6379/0"}


def test_nginx_knows_exactly_these_replicas() -> None:
    upstreams = re.findall(r"server\s+(\S+):(\d+) max_fails", shipped())

    assert set(upstreams) == {(name, port) for name in REPLICAS for port in instruction("EXPOSE").split()}
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]


def test_operators_come_in_from_this_machine_only() -> None:
    clients, operators = SERVICES["nginx"]["ports"]
    gateway = COMPOSE["networks"]["inside"]["ipam"]["config"][0]["gateway"]
    (port,) = {service["environment"]["FAIRLEAD_ADMIN_PORT"] for service in REPLICAS.values()}

    assert clients == "8080:8080" and "listen 8080" in shipped()
    assert operators == "127.0.0.1:8081:8081" and "listen 8081" in shipped()
    assert re.findall(r"^\s*(allow|deny) (\S+);", shipped(), re.MULTILINE) == [
        *[("allow", address) for address in ("127.0.0.1", "::1", gateway)],
        ("deny", "all"),
    ]
    assert instruction("EXPOSE").split() == ["8000", str(port)]


def test_only_nginx_is_believed_about_addresses() -> None:
    address = SERVICES["nginx"]["networks"]["inside"]["ipv4_address"]
    subnet = ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"])

    assert ip_address(address) in subnet
    assert {service["environment"]["FAIRLEAD_FORWARDED_ALLOW_IPS"] for service in REPLICAS.values()} == {address}


def test_every_variable_is_a_setting() -> None:
    known = {f"FAIRLEAD_{name.upper()}" for name in Settings.model_fields}

    used = {name for service in REPLICAS.values() for name in service["environment"]}
    assert used <= known
    assert set(re.findall(r"FAIRLEAD_[A-Z_]+", DOCKERFILE)) <= known


def test_there_is_no_secret_in_the_file_and_none_by_default() -> None:
    secrets = {service["environment"]["FAIRLEAD_JWT_SECRET"] for service in REPLICAS.values()}

    (secret,) = secrets
    assert secret.startswith("${FAIRLEAD_JWT_SECRET:?")


def test_what_compose_serves_is_not_refused() -> None:
    env = {
        name.removeprefix("FAIRLEAD_").lower(): value for name, value in REPLICAS["replica-1"]["environment"].items()
    }
    command = json.loads(instruction("CMD"))
    host = command[command.index("--host") + 1]
    secret = "9f86d081884c7d659a2feaa0c55ad015"

    given = Settings.model_validate({**env, "host": host, "jwt_secret": secret, "allowed_origins": ""})

    assert objections(given) == []
    assert advice(given) == []


@pytest.mark.parametrize("name", REPLICAS)
def test_replicas_are_given_time_to_drain(name: str) -> None:
    grace = int(REPLICAS[name]["stop_grace_period"].removesuffix("s"))

    defaults = Settings.model_construct()
    assert grace > defaults.drain_linger_seconds + defaults.drain_seconds + 5


def test_everything_pinned_to_a_version_says_which() -> None:
    images = [service["image"] for service in SERVICES.values()]
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert all(re.search(r":\d", image) for image in [*images, *bases])
    assert {service["image"] for service in REPLICAS.values()} == {f"fairlead:{__version__}"}


def test_the_image_runs_the_gateway_as_process_1_and_not_as_root() -> None:
    assert json.loads(instruction("ENTRYPOINT")) == ["fairlead"]
    assert json.loads(instruction("CMD"))[0] == "serve"
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert instruction("USER") not in ("root", "0")


def test_what_the_image_copies_is_there() -> None:
    sources = [
        word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]

    assert sources
    assert [name for name in sources if not (ROOT / name).exists()] == []


def test_the_health_check_asks_for_readiness() -> None:
    check = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])

    assert "/readyz" in check[-1]
    compile(check[-1], "healthcheck", "exec")
