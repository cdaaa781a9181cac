"""Health checks: `/` names the service, `/v1/_status` reports whether its dependencies work (protocol §3.2)."""

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
    failures = health.failures()
    return http.reply({"services": health.services, "failures": failures}, 503 if failures else 200)
