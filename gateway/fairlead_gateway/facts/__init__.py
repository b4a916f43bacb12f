"""Facts that all replicas share through Redis: who is alive, who is connected where, who is in which channel."""
