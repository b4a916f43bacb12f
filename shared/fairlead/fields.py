"""The fields of a form that people fill in: a flat JSON schema, checked before it is asked, and what they wrote."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from fairlead.codec import to_json
from fairlead.errors import InvalidMessage, TooLarge

MAX_SCHEMA_BYTES: Final = 16 * 1024

MAX_FIELDS: Final = 100

_FORMATS: Final[Mapping[str, Any]] = {
    "email": Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)],
    "uri": AnyUrl,
    "date": date,
    "date-time": datetime,
}


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: str | None = None
    description: str | None = None
    default: Any = None


class _Text(_Described):
    type: Literal["string"]
    minLength: int = Field(0, ge=0)
    maxLength: int | None = Field(None, ge=0)
    format: Literal["email", "uri", "date", "date-time"] | None = None
    enum: list[str] | None = Field(None, min_length=1, max_length=100)
    enumNames: list[str] | None = None

    def kind(self) -> Any:
        if self.enum is not None:
            return Literal[tuple(self.enum)]
        if self.format is not None:
            return _FORMATS[self.format]
        return Annotated[str, Field(min_length=self.minLength, max_length=self.maxLength)]


class _Number(_Described):
    type: Literal["number", "integer"]
    minimum: float | None = None
    maximum: float | None = None
    exclusiveMinimum: float | None = None
    exclusiveMaximum: float | None = None

    def kind(self) -> Any:
        limits = Field(ge=self.minimum, le=self.maximum, gt=self.exclusiveMinimum, lt=self.exclusiveMaximum)
        number = int if self.type == "integer" else float
        return Annotated[number, limits]


class _Truth(_Described):
    type: Literal["boolean"]

    def kind(self) -> Any:
        return bool


_Property: TypeAlias = Annotated[_Text | _Number | _Truth, Field(discriminator="type")]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["object"]
    title: str | None = None
    description: str | None = None
    properties: dict[str, _Property] = Field(min_length=1, max_length=MAX_FIELDS)
    required: list[str] = Field(default_factory=list)


def checked_schema(schema: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    """
    *schema* as the flat JSON schema that clients draw a form from: one object of texts, numbers and booleans.

    :param schema: that, or a pydantic model with such fields.
    :raises InvalidMessage: it is not flat, or says something that this cannot check; the message names it.
    :raises TooLarge: above `MAX_SCHEMA_BYTES`.
    """
    given = schema.model_json_schema() if isinstance(schema, type) else dict(schema)
    text = to_json(given)
    if len(text) > MAX_SCHEMA_BYTES:
        raise TooLarge(f"the schema of a form has at most {MAX_SCHEMA_BYTES} bytes", limit=MAX_SCHEMA_BYTES)
    _form(text)
    return given


def faults(schema: Mapping[str, Any], content: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong with *content*, field by field; empty if it is what *schema*, checked before, asks for."""
    try:
        _form(to_json(schema)).validate_json(to_json(content), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return [{"field": ".".join(str(part)[:64] for part in one["loc"]), "message": one["msg"]} for one in found[:20]]
    return []


@lru_cache(maxsize=256)
def _form(text: bytes) -> TypeAdapter[Any]:
    """A model of what a schema asks for; fields that it does not know are refused, since nobody would look at them."""
    try:
        schema = _Schema.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part)[:64] for part in first["loc"]) or "schema"
        raise InvalidMessage(
            f"a form is one flat object of texts, numbers and booleans; {where}: {first['msg']}"
        ) from None
    if unknown := [name for name in schema.required if name not in schema.properties]:
        raise InvalidMessage(f"the form requires {unknown[0][:64]}, which is not among its properties")
    # Names of fields are a client's business: they go in as aliases, so that none can be mistaken for Python's.
    fields: dict[str, Any] = {
        f"field_{at}": (one.kind(), Field(alias=name))
        if name in schema.required
        else (one.kind(), Field(None, alias=name))
        for at, (name, one) in enumerate(schema.properties.items())
    }
    return TypeAdapter(create_model("Form", __config__=ConfigDict(extra="forbid"), **fields))
