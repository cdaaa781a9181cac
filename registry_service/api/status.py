"""Health checks: `/` names the service, `/v1/_status` reports whether its dependencies work (protocol §3.2), `/_ready`
whether it can answer pulls."""

from __future__ import annotations

from flask import Blueprint, Response

from common import http
from registry_service.api.request_context import registry

views = Blueprint("status", __name__)


@views.get("/")
def get_root() -> Response:
    return http.reply("Wharfinger registry")


@views.get("/_status")
@views.get("/v1/_status")
def get_status() -> Response:
    """200 if all dependencies work, otherwise 503 with the failures by service."""
    health = registry().health
    return http.health_reply(health.services, health.failures())


@views.get("/_ready")
def get_ready() -> Response:
    """200 if requests may be sent here, otherwise 503 with the reason."""
    return http.health_reply(["storage"], registry().health.reading_failures())
