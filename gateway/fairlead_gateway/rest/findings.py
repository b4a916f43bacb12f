"""What came through Redis, such as answers to a survey, as views: none of it is trusted."""

from __future__ import annotations

from typing import TypeVar

import structlog
from pydantic import ValidationError

from fairlead_gateway.admin.surveys import Found
from fairlead_gateway.rest.route import View

log = structlog.get_logger(__name__)

Shown = TypeVar("Shown", bound=View)


def read(view: type[Shown], found: Found, name: str) -> list[Shown]:
    """The list *name* of one replica's answer; what makes no sense is left out."""
    some = found.get(name)
    views: list[Shown] = []
    for one in some if isinstance(some, list) else ():
        try:
            views.append(view.model_validate(one))
        except ValidationError as error:
            log.warning("an answer makes no sense", about=name, why=str(error).replace("\n", " ")[:200])
    return views
