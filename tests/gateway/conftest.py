"""How the tests of the gateway draw their examples, and log: tracebacks drawn with frames and colours take seconds."""

import structlog
from hypothesis import HealthCheck, settings

# The first text that hypothesis draws on a machine builds its table of Unicode, which takes seconds.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")

structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
