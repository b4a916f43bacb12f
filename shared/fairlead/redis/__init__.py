"""How Redis is reached and which scripts run in it."""
