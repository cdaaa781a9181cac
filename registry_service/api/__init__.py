"""The HTTP API of the registry: blueprints, and before them one fast path for reads of images.

A view parses the names, calls one service once and makes the result a response; it holds no `try` and knows neither
driver nor path.
"""

from __future__ import annotations

from flask import Flask

from registry_service.api import images, repositories, standalone, status
from registry_service.api.fast_reads import FastReads
from registry_service.services import Registry


def install(app: Flask, registry: Registry, *, delivery: str, endpoints: tuple[str, ...], is_fronted: bool) -> None:
    """Add all routes. A registry without an index serves the index's routes too (protocol §1.1)."""
    app.config["ENDPOINTS"] = endpoints
    app.register_blueprint(status.views)
    app.register_blueprint(images.views, url_prefix="/v1")
    app.register_blueprint(repositories.views, url_prefix="/v1")
    if registry.index is None:
        app.register_blueprint(standalone.views, url_prefix="/v1")
    fast_reads = FastReads(registry, delivery, app.wsgi_app, is_fronted=is_fronted)
    app.register_blueprint(fast_reads.routes(), url_prefix="/v1")
    app.wsgi_app = fast_reads  # type: ignore[method-assign]
