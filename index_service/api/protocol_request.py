"""What a request of the protocol carries: credential, User-Agent, IP address; and the service that answers it."""

from __future__ import annotations

from flask import request

from common import headers
from common.errors import Unauthenticated
from common.tokens import read_authorization
from index_service.current import services
from index_service.services.credentials import Anonymous, Bearer, Credential, Login, read_basic
from index_service.services.protocol import Protocol

MAX_USER_AGENT = 255


def protocol() -> Protocol:
    return services().protocol


def credential() -> Credential:
    """The Authorization header, not yet verified. Raises Unauthenticated for a malformed one."""
    value = request.headers.get("Authorization")
    if value is None or not value.strip():
        return Anonymous()
    tokens = read_authorization(value)
    return Bearer(tuple(tokens)) if tokens is not None else _basic(value)


def asks_token() -> bool:
    """Whether the client wants a token; any value means yes except an empty one and `false`."""
    return request.headers.get(headers.TOKEN, "").strip().lower() not in ("", "false", "0")


def client_address() -> str:
    """The client's IP address, as far as the configured proxies are trusted."""
    return request.remote_addr or "local"


def user_agent() -> str:
    """The client's User-Agent: its printable characters, truncated to what is stored."""
    return "".join(filter(str.isprintable, request.headers.get("User-Agent", "")))[:MAX_USER_AGENT]


def _basic(value: str) -> Credential:
    scheme, _, encoded = value.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("Unknown authorization scheme: use Basic or Token")
    name, password = read_basic(encoded)
    # Daemons without a login send an empty name and password, `Basic Og==` (protocol §1.4).
    return Login(name, password, client_address(), user_agent()) if name or password else Anonymous()
