"""Questions to people, from asking to the answer."""
