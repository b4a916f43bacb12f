"""``fairlead openapi`` and ``fairlead asyncapi``: what is asked over HTTP and said over WebSockets, described."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from fairlead_gateway.cli.output import Status

AnywayJson = Annotated[bool, typer.Option("--json", help="JSON is what it prints anyway.")]


def openapi(as_json: AnywayJson = False) -> Status:
    """
    Print the HTTP interface as an OpenAPI 3.1 document, in JSON, as /openapi.json of a replica serves it.
    """
    # Here, not above: these weigh most of a second, and every other command does without them.
    from fairlead_gateway.rest.openapi import document
    from fairlead_gateway.rest.table import ROWS

    return _printed(document(ROWS))


def asyncapi(as_json: AnywayJson = False) -> Status:
    """
    Print the WebSocket protocol as an AsyncAPI 3.0 document, in JSON, as /asyncapi.json of a replica serves it.
    """
    from fairlead_gateway.rest.asyncapi import document

    return _printed(document())


def _printed(document: Mapping[str, object]) -> Status:
    print(json.dumps(document, indent=2))
    return Status.OK
