"""The index's health check for load balancers; its ping is the one that both services have."""

from __future__ import annotations

from flask import Blueprint, Response

from common.http import health_reply
from index_service.current import services

views = Blueprint("status", __name__)


@views.get("/_ready")
def get_ready() -> Response:
    """200 if requests may be sent here, otherwise 503 with the reason."""
    return health_reply(["database"], services().readiness.failures())
