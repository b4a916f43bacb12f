"""The command ``fairlead``: what an operator and a developer do from a shell."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process."""
    try:
        from fairlead_gateway.cli.commands import run
    except ModuleNotFoundError as missing:
        # The library alone brings this command along, but not what it needs.
        sys.exit(
            f"fairlead: {missing.name} is not installed, this is the library alone; for the command: "
            "pip install 'fairlead[dev]' (a Valkey comes along) or 'fairlead[gateway]'"
        )
    sys.exit(run())
