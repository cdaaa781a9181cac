"""The door for monitors: `/` says what this is, `/v1/_status` whether everything it stands on works (protocol §3.2)."""

from __future__ import annotations

from flask import Flask, Response

from common import http
from registry_service.health import Health


class StatusDoor:
    def __init__(self, health: Health) -> None:
        self._health = health

    def install(self, app: Flask) -> None:
        app.add_url_rule("/", "root", self.root)
        app.add_url_rule("/_status", "root_status", self.status)
        app.add_url_rule("/v1/_status", "status", self.status)

    def root(self) -> Response:
        return http.reply("Wharfinger registry")

    def status(self) -> Response:
        """200 where everything works, 503 with the failures by service where something does not."""
        failures = self._health.failures()
        return http.reply({"services": self._health.services, "failures": failures}, 503 if failures else 200)
