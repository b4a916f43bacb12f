"""From a message to what Redis says about it: sent, stored, copied, acknowledged."""
