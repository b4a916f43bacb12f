"""Whatever a client may send, and what it must not do."""
