"""People: who they are, how they prove it, and what happens to those who guess."""
