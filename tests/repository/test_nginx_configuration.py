"""What we ship for Nginx agrees with what replicas do, and Nginx accepts it."""

from __future__ import annotations

import re

import pytest

from fairlead.format.codec import MAX_BYTES
from fairlead_gateway.rest.route import PREFIX
from fairlead_gateway.rest.table import ROWS
from fairlead_gateway.settings import Settings
from tests.support.nginx import BINARY, Nginx, directive, seconds, shipped

DEFAULTS = Settings.model_construct()


@pytest.mark.skipif(BINARY is None, reason="nginx is not installed")
def test_nginx_accepts_the_configuration() -> None:
    verdict = Nginx([18001, 18002, 18003]).test()

    assert verdict.returncode == 0, verdict.stderr
    assert "warn" not in verdict.stderr


@pytest.mark.parametrize("name", ["proxy_read_timeout", "proxy_send_timeout"])
def test_nginx_waits_longer_than_the_heartbeat(name: str) -> None:
    assert seconds(name) > DEFAULTS.heartbeat_interval_seconds
    assert seconds(name) > DEFAULTS.heartbeat_timeout_seconds


def test_old_workers_live_longer_than_a_drain() -> None:
    assert seconds("worker_shutdown_timeout") > DEFAULTS.drain_linger_seconds + DEFAULTS.drain_seconds


def test_request_heads_are_as_quick_as_the_gateway_wants_them() -> None:
    assert seconds("client_header_timeout") == DEFAULTS.header_timeout_seconds


def test_the_greatest_message_fits_through() -> None:
    megabytes = int(directive("client_max_body_size").removesuffix("m"))

    assert megabytes * 1024 * 1024 >= MAX_BYTES


def test_no_query_string_is_logged() -> None:
    (log_format,) = re.findall(r"log_format\s+[^;]*;", shipped())

    assert "$uri" in log_format
    for leaky in ("$request ", '$request"', "$request_uri", "$args", "$query_string", "$http_authorization"):
        assert leaky not in log_format


def test_what_a_client_claims_about_its_address_is_overwritten() -> None:
    headers = dict(re.findall(r"proxy_set_header\s+(\S+)\s+(\S+);", shipped()))

    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert "proxy_add_x_forwarded_for" not in shipped()


def test_nothing_is_buffered_and_no_map_uses_a_regular_expression() -> None:
    assert directive("proxy_buffering") == "off"
    assert not re.search(r"^\s*~", shipped(), re.MULTILINE)


def test_of_the_http_interface_what_clients_use_is_passed_on() -> None:
    (passed_on,) = re.findall(r"location ~ \^/api/v1/websocket/\(([^)]*)\)", shipped())

    clients = {row.tag for row in ROWS if row.is_public}
    assert clients <= set(passed_on.split("|")) and not set(passed_on.split("|")) & (
        {row.tag for row in ROWS} - clients
    )
    assert PREFIX == "/api/v1/websocket"


def test_connections_go_where_there_are_fewest() -> None:
    assert directive("least_conn") == ""
    assert "ip_hash" not in shipped()
