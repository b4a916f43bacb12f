"""``fairlead doctor``: what a newcomer or an operator gets wrong, found out one thing at a time."""
