"""What backends read: events, what clients say, and what ended; and what they answer."""
