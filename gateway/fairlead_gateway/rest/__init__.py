"""The HTTP interface: one table of routes, from which routing, checks, roles and OpenAPI are made (ADM-1)."""
