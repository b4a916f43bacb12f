"""What a replica costs: a load of real sockets, a publisher of raw RESP, and CPU read from /proc."""
