"""Passes that let a registry trust a stranger: issued, redeemed, consumed, revoked."""
