"""The table of routes as an OpenAPI 3.1 document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from fairlead.codes import ERRORS
from fairlead.version import __version__
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.problems import MEDIA_TYPE, STATUS
from fairlead_gateway.rest.route import PREFIX, Nothing, Row

REF: Final = "#/components/schemas/{model}"

ALWAYS: Final = ("unauthorized", "invalid_message", "unavailable")
"""Codes that any route may answer."""

UNREADABLE: Final = {
    "408": "The body did not arrive in time.",
    "415": "The body is not application/json, or compressed.",
}
"""How a body may be refused before anything in it is looked at, by status."""

Model = type[BaseModel]
Schemas = Mapping[Any, Mapping[str, Any]]
"""By model and mode."""

Document = dict[str, Any]


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457); more members tell more, such as ``errors`` or ``retry_ms``."""

    type: Literal["about:blank"]
    title: str
    """A code that programs read; those of error frames, or the name of the status."""
    status: int = Field(ge=400, le=599)
    detail: str
    """What was wrong and what to do."""


def document(rows: Iterable[Row]) -> Document:
    """All *rows*, with everything that a client of theirs must know."""
    table = tuple(rows)
    schemas, components = _schemas(table)
    paths: dict[str, Document] = {}
    for row in table:
        paths.setdefault(PREFIX + row.path, {})[row.method.lower()] = _operation(row, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fairlead",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Manage a fleet of WebSocket gateways from any replica. Tokens are those of clients; "
            "what a caller may do follows from the role in its token.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name} for name in dict.fromkeys(row.tag for row in table)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": {code: _problem(ERRORS[code], schemas, status=status) for code, status in STATUS.items()},
        },
    }


def _schemas(rows: tuple[Row, ...]) -> tuple[Schemas, Document]:
    modes: dict[tuple[Model, JsonSchemaMode], None] = {(ProblemDocument, "serialization"): None}
    for row in rows:
        modes[row.params, "validation"] = None
        if row.body is not Nothing:
            modes[row.body, "validation"] = None
        if row.answer is not None:
            modes[row.answer, "serialization"] = None
    schemas, definitions = models_json_schema(list(modes), ref_template=REF, title="Fairlead")
    return schemas, dict(definitions["$defs"])


def _operation(row: Row, schemas: Schemas) -> Document:
    operation: Document = {
        "operationId": row.name,
        "summary": row.summary,
        "description": f"{_text(row)}\n\nRank: {row.rank.name.lower()}.",
        "tags": [row.tag],
        "parameters": _parameters(row),
        "responses": {str(row.status): _success(row, schemas), **_problems(_codes(row), schemas)},
    }
    if row.body is not Nothing:
        body = schemas[row.body, "validation"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        for status, why in UNREADABLE.items():
            operation["responses"][status] = _problem(why, schemas)
    return operation


def _codes(row: Row) -> Iterable[str]:
    """All that it may be refused with; a path that holds an id holds perhaps a wrong one, which leads nowhere."""
    codes: Document = dict.fromkeys((*ALWAYS, *row.errors))
    codes |= dict.fromkeys(("forbidden",) if row.rank > Rank.USER else ())
    codes |= dict.fromkeys(("not_found",) if row.in_path else ())
    return codes | dict.fromkeys(("invalid_json", "too_large") if row.body is not Nothing else ())


def _text(row: Row) -> str:
    return " ".join((row.do.__doc__ or "").split())


def _parameters(row: Row) -> list[Document]:
    schema = row.params.model_json_schema(mode="validation", ref_template=REF)
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "in": "path" if name in row.in_path else "query",
            "required": name in row.in_path or name in required,
            "description": " ".join(facts.get("description", "").split()),
            "schema": {key: value for key, value in facts.items() if key not in ("title", "description")},
        }
        for name, facts in schema.get("properties", {}).items()
    ]


def _success(row: Row, schemas: Schemas) -> Document:
    if row.answer is None:
        return {"description": "Done."}
    schema = schemas[row.answer, "serialization"]
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _problems(codes: Iterable[str], schemas: Schemas) -> Document:
    """Responses by status; codes that share one are told together."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    return {
        str(status): {"$ref": f"#/components/responses/{some[0]}"}
        if len(some) == 1
        else _problem(" ".join(f"`{code}`: {ERRORS[code]}" for code in some), schemas)
        for status, some in sorted(by_status.items())
    }


def _problem(why: str, schemas: Schemas, *, status: int = 0) -> Document:
    schema = schemas[ProblemDocument, "serialization"]
    answer: Document = {"description": why, "content": {MEDIA_TYPE: {"schema": schema}}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return answer
