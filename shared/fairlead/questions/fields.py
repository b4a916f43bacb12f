"""The fields of a form that people fill in: a flat JSON schema, checked before it is asked, and what they wrote."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from fairlead.errors import InvalidMessage, TooLarge
from fairlead.format.codec import from_json, to_json

MAX_SCHEMA_BYTES: Final = 16 * 1024

MAX_FIELDS: Final = 100

MAX_FAULTS: Final = 20
"""Faults that somebody is told of at once."""

_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_URL: Final = TypeAdapter(AnyUrl)


def _is_url(text: str) -> bool:
    with suppress(ValidationError):
        return not re.search(r"\s", text) and _URL.validate_python(text) is not None
    return False


def _is_moment(shape: re.Pattern[str], read: Callable[[str], object], text: str) -> bool:
    with suppress(ValueError):
        return shape.fullmatch(text) is not None and read(text.upper()) is not None
    return False


_FORMATS: Final[Mapping[str, tuple[str, Callable[[str], bool]]]] = {
    "email": ("an e-mail address", lambda text: len(text) <= 254 and _EMAIL.fullmatch(text) is not None),
    "uri": ("a URL with its scheme", _is_url),
    "date": ("a date such as 2026-01-31", lambda text: _is_moment(_DATE, date.fromisoformat, text)),
    "date-time": (
        "a time such as 2026-01-31T12:00:00Z",
        lambda text: _is_moment(_TIME, datetime.fromisoformat, text),
    ),
}


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: str | None = None
    description: str | None = None
    default: str | int | float | bool | None = None


class _Text(_Described):
    type: Literal["string"]
    minLength: int = Field(0, ge=0)
    maxLength: int | None = Field(None, ge=0)
    format: Literal["email", "uri", "date", "date-time"] | None = None
    enum: list[str] | None = Field(None, min_length=1, max_length=100)
    enumNames: list[str] | None = None

    def fault(self, value: object) -> str:
        if not isinstance(value, str):
            return "must be a text"
        if len(value) < self.minLength:
            return f"at least {self.minLength} characters"
        if self.maxLength is not None and len(value) > self.maxLength:
            return f"at most {self.maxLength} characters"
        if self.enum is not None and value not in self.enum:
            return f"one of {', '.join(self.enum)}"[:256]
        if self.format is not None and not _FORMATS[self.format][1](value):
            return f"must be {_FORMATS[self.format][0]}"
        return ""


class _Number(_Described):
    type: Literal["number", "integer"]
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusiveMinimum: int | float | None = None
    exclusiveMaximum: int | float | None = None

    def fault(self, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        if self.type == "integer" and not isinstance(value, int):
            return "must be a whole number"
        if self.minimum is not None and value < self.minimum:
            return f"at least {self.minimum}"
        if self.maximum is not None and value > self.maximum:
            return f"at most {self.maximum}"
        if self.exclusiveMinimum is not None and value <= self.exclusiveMinimum:
            return f"more than {self.exclusiveMinimum}"
        if self.exclusiveMaximum is not None and value >= self.exclusiveMaximum:
            return f"less than {self.exclusiveMaximum}"
        return ""


class _Truth(_Described):
    type: Literal["boolean"]

    def fault(self, value: object) -> str:
        return "" if isinstance(value, bool) else "must be true or false"


_Property: TypeAlias = Annotated[_Text | _Number | _Truth, Field(discriminator="type")]


class _Form(BaseModel):
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
    :raises InvalidJson: it holds what JSON cannot say.
    :raises TooLarge: above `MAX_SCHEMA_BYTES`.
    """
    text = to_json(_as_mapping(schema))
    if len(text) > MAX_SCHEMA_BYTES:
        raise TooLarge(f"the schema of a form has at most {MAX_SCHEMA_BYTES} bytes", limit=MAX_SCHEMA_BYTES)
    _form(text)
    return cast("dict[str, Any]", from_json(text))


def faults(schema: Mapping[str, Any], content: Mapping[str, Any]) -> list[dict[str, str]]:
    """
    What is wrong with *content*, field by field; empty if it is what *schema*, checked before, asks for.

    Fields that the schema does not know are refused, since nobody would look at them.
    """
    form = _form(to_json(schema))
    found = {name: form.properties[name].fault(content[name]) for name in form.properties if name in content}
    found |= dict.fromkeys((name for name in form.required if name not in content), "is missing")
    found |= dict.fromkeys((name for name in content if name not in form.properties), "is not asked for")
    return [{"field": name[:64], "message": message} for name, message in found.items() if message][:MAX_FAULTS]


def _as_mapping(schema: object) -> Mapping[str, Any]:
    if isinstance(schema, Mapping):
        return schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            return schema.model_json_schema()
        except PydanticUserError as error:
            raise InvalidMessage(f"there is no form for {schema.__name__}: {error.message}") from None
    raise InvalidMessage("schema is a flat JSON schema, as a mapping, or a pydantic model")


@lru_cache(maxsize=256)
def _form(text: bytes) -> _Form:
    try:
        form = _Form.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part)[:64] for part in first["loc"]) or "schema"
        raise InvalidMessage(
            f"a form is one flat object of texts, numbers and booleans; {where}: {first['msg']}"
        ) from None
    if unknown := [name for name in form.required if name not in form.properties]:
        raise InvalidMessage(f"the form requires {unknown[0][:64]}, which is not among its properties")
    return form
