"""The blocks that are not run, by what their first line begins with, each with the reason."""

from __future__ import annotations

from typing import Final

from tests.documents.pages import Block

UNRUN: Final = {
    "# before": "code of another product, as it was before",
    "// before": "code of another product, as it was before",
    "export FAIRLEAD_JWT_SECRET=": "needs Docker; tests/repository/test_deployment.py looks at the files",
    "make run ": "runs everything, this test included; tests/repository/test_commands.py looks at what make would do",
    "FAIRLEAD_ALLOWED_ORIGINS=": "two servers that stay; what the page and its tokens do is run by itself",
    "fairlead serve --host 0.0.0.0": "would listen to everybody; its options are looked at",
    "browser, app ──▶ Nginx ──▶ replica": "a picture",
    "patch    = {path": "a grammar; tests/shared/state/test_patches.py is about it",
    "$ fairlead trace ": "what is told of a message; tests/cluster/test_traces.py is about it",
}


def is_named(block: Block) -> bool:
    """Whether *block* is among those that are not run."""
    return block.text.lstrip().startswith(tuple(UNRUN))
