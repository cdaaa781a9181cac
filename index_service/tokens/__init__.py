"""Protocol tokens, with which a registry trusts a client: issued, redeemed, consumed, revoked. Access tokens are in
`accounts`."""
