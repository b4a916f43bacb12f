"""The face for threads: `fairlead.SyncBackend` and its parts."""
