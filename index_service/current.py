"""The services of the current application, under the one key by which all views find them."""

from __future__ import annotations

from flask import Flask, current_app

from index_service.services import Services

EXTENSION = "wharfinger-services"


def install(app: Flask, services: Services) -> None:
    """Call it before the first request."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    found: Services = current_app.extensions[EXTENSION]
    return found
