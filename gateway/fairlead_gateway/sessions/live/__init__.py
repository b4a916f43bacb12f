"""Watching live: what passes by on every replica, shown to those who look at the fleet (ADM-2)."""
