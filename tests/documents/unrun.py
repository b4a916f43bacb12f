"""The blocks that are not run, by their first line, each with the reason."""

from __future__ import annotations

from typing import Final

UNRUN: Final = {
    "@sio.event": "code of Socket.IO, as it was before",
    "# before": "code of another product, as it was before",
    "// before": "code of another product, as it was before",
    "export FAIRLEAD_JWT_SECRET=$(openssl rand -hex 32)": "needs Docker; test_deployment.py looks at the files",
    "make run     # an embedded Valkey, two replicas, a page at http://127.0.0.1:8000, a token, lines to copy": (
        "runs everything, this test included; test_commands.py looks at what make would do"
    ),
    "fairlead serve --host 0.0.0.0 --port 8000 --workers 4": "would listen to everybody; its options are looked at",
    "browser, app ──▶ Nginx ──▶ replica ── edge ▶ sessions ──▶ publish ──┐": "a picture",
    "$ fairlead trace ann/m1": "what is told of a message; tests/cluster/test_traces.py is about it",
}
