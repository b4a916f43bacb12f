"""Who is this, and what may they do: tokens, tickets, permissions."""
