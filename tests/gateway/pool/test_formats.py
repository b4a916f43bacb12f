"""In which shape a client reads is agreed once, in the handshake."""

from __future__ import annotations

import pytest

from fairlead_gateway.pool.formats import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL, Format

AGREED = [
    (None, False, Format.JSON),
    (JSON_SUBPROTOCOL, False, Format.JSON),
    (MSGPACK_SUBPROTOCOL, False, Format.MSGPACK),
    (None, True, Format.JSON_DEFLATED),
    (MSGPACK_SUBPROTOCOL, True, Format.MSGPACK_DEFLATED),
]


@pytest.mark.parametrize(("subprotocol", "deflates", "format"), AGREED)
def test_subprotocol_and_compression_make_the_format(subprotocol: str | None, deflates: bool, format: Format) -> None:
    assert Format.of(subprotocol, deflates) is format
    assert format.is_msgpack is (subprotocol == MSGPACK_SUBPROTOCOL)
    assert format.is_deflated is deflates
