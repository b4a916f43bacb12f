"""What browsers are told about pages."""

from __future__ import annotations

from fairlead_gateway.rest.headers import content_security_policy, page_headers


def directives(policy: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in policy.split(";"))}


def test_a_page_loads_its_own_files_and_nothing_else() -> None:
    policy = directives(content_security_policy())

    assert (
        policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    )
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["img-src"] == ["'self'", "data:"]
    assert "unsafe" not in content_security_policy()


def test_a_page_that_needs_more_gets_that_and_no_more() -> None:
    plain, wide = (
        directives(content_security_policy()),
        directives(content_security_policy(connect=["ws://127.0.0.1:8001"], inline_styles=True)),
    )

    assert {name: sources for name, sources in wide.items() if sources != plain[name]} == {
        "connect-src": ["'self'", "ws://127.0.0.1:8001"],
        "style-src": ["'self'", "'unsafe-inline'"],
    }


def test_no_page_is_framed_sniffed_or_told_of_to_others() -> None:
    headers = page_headers(cache="no-store")

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
