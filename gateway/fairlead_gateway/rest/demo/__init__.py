"""The demonstration page: served by replicas whose ``demo`` setting names those that it may use, and by no others."""

from fairlead_gateway.rest.demo.routes import demo_routes

__all__ = ["demo_routes"]
