"""Addresses of clients, as bounds per client count them."""

from __future__ import annotations

import ipaddress


def neighbourhood_of(network: str) -> str:
    """What networks begin with of which a provider gives one customer another each day: 24 bits of an IPv4 address."""
    head, dot, last = network.rpartition(".")
    return head + dot if last.isdigit() and ":" not in head else network


def network_of(address: str) -> str:
    """One customer's addresses: a single IPv4 address, or 64 bits of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    # A dual-stack listener sees every IPv4 client in one and the same /64.
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
