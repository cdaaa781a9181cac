"""People: accounts and organisations, authentication, and the rate limit on password guesses."""
