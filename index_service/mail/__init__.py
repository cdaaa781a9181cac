"""Letters to people, and who carries them."""
