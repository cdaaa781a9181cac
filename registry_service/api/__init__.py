"""The HTTP API of the registry: blueprints, and before them fast paths for reads of images, by v1 and by `/v2/`.

A view parses the names, calls one service once and makes the result a response; it holds no `try` and knows neither
driver nor path.
"""

from __future__ import annotations

from flask import Flask

from registry_service.api import images, repositories, standalone, status
from registry_service.api.delivery import strategy_of
from registry_service.api.fast_reads import FastReads
from registry_service.api.sharing import Sharing
from registry_service.api.v2.contents import Contents
from registry_service.api.v2.door import Door
from registry_service.services import Registry


def install(
    app: Flask,
    registry: Registry,
    *,
    delivery: str,
    endpoints: tuple[str, ...],
    index_url: str,
    is_fronted: bool,
) -> None:
    """Add all routes. A registry without an index serves the index's routes too (protocol §1.1).

    `index_url` is where clients reach the index, empty if by the host that they name; `is_fronted`: a proxy stands in
    front.
    """
    app.config["ENDPOINTS"] = endpoints
    app.register_blueprint(status.views)
    app.register_blueprint(images.views, url_prefix="/v1")
    app.register_blueprint(repositories.views, url_prefix="/v1")
    if registry.index is None:
        app.register_blueprint(standalone.views, url_prefix="/v1")
    strategy = strategy_of(delivery)
    # Implied where nginx delivers.
    is_fronted = delivery == "nginx" or (delivery == "redirect" and is_fronted)
    sharing = Sharing(registry.gate, is_fronted=is_fronted)
    fast_reads = FastReads(registry, strategy, sharing, app.wsgi_app)
    app.register_blueprint(fast_reads.routes(), url_prefix="/v1")
    app.wsgi_app = Door(registry, Contents(registry, strategy, sharing), fast_reads, index_url)  # type: ignore[method-assign]
