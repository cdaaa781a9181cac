"""The keys with which registries read what tokens state."""

from __future__ import annotations

from flask import Blueprint, Response

from common.http import reply
from common.statements import write_keys
from index_service.api.protocol_request import protocol

views = Blueprint("keys", __name__)


@views.get("/token_keys")
def get_token_keys() -> Response:
    """The public keys of tokens for reading, and the time of this clock, by which a token's age counts."""
    keys, now = protocol().token_keys()
    return reply(write_keys(keys, now.timestamp()))
