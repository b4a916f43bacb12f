"""The face for asyncio: `fairlead.Backend` and its parts."""
