"""The way out: from Redis to the sockets of this replica."""
