"""Addresses: which are good, and which are here."""

from __future__ import annotations

import pytest

from fairlead.client.address import checked_url, is_here, shown, waiting
from fairlead.errors import InvalidMessage


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8000/ws", "wss://example.org/ws?ticket=a", "ws://[::1]/ws"])
def test_addresses(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize("url", ["", "/ws", "http://example.org/ws", "ws:///ws", "ws://h/ws#x", "ws://h:x/", "ws://[/"])
def test_no_addresses(url: str) -> None:
    with pytest.raises(InvalidMessage):
        checked_url(url)


def test_what_was_asked_for_stays() -> None:
    assert waiting("ws://h/ws") == "ws://h/ws?wait=connect"
    assert waiting("ws://h/ws?a=1&b=%20&c=") == "ws://h/ws?a=1&b=+&c=&wait=connect"


@pytest.mark.parametrize(
    ("url", "here"), [("ws://127.9.9.9/", True), ("ws://[::1]:1/", True), ("ws://localhost/", True), ("ws://h/", False)]
)
def test_no_proxy_leads_to_this_machine(url: str, here: bool) -> None:
    assert is_here(url) == here


def test_what_may_be_a_ticket_is_not_told() -> None:
    assert shown("wss://h:1/ws?ticket=secret") == "wss://h:1/ws"
