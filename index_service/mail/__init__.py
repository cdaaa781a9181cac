"""Email to people, and its transport."""
