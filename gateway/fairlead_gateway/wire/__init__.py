"""The WebSocket wire (RFC 6455, RFC 7692) as pure functions and state: bytes in, events out; no loop, no clock."""
