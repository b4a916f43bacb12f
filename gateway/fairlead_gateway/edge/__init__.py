"""Where clients come in: the socket, the handshake, and the few HTTP routes beside it."""
