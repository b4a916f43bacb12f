"""What a message is, and the bytes that Redis and clients see of it."""
