"""``docs/clients.md``, which every client and every scenario here is held to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE: Final = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
RULES: Final = tuple(re.findall(r"^\*\*([A-Z]\d+)\*\*", PAGE, re.MULTILINE))
