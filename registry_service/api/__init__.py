"""The registry's door: HTTP becomes a question to one service, and its answer HTTP again.

A view parses the names, asks one service one question and dresses the answer; it holds no `try` and knows
neither driver nor path.
"""

from __future__ import annotations

from flask import Flask

from registry_service.api.images import ImageDoor
from registry_service.api.reading import ReadingDoor
from registry_service.api.repositories import RepositoryDoor
from registry_service.api.standalone import StandaloneDoor
from registry_service.api.status import StatusDoor
from registry_service.services import Registry


def install(app: Flask, registry: Registry, *, delivery: str, endpoints: tuple[str, ...], is_fronted: bool) -> None:
    """Open the doors. A registry without an index answers the index's routes too (protocol §1.1)."""
    ImageDoor(registry).install(app)
    RepositoryDoor(registry).install(app)
    StatusDoor(registry.health).install(app)
    if registry.index is None:
        StandaloneDoor(registry, endpoints).install(app)
    reading = ReadingDoor(registry, delivery, app.wsgi_app, is_fronted=is_fronted)
    reading.announce(app.url_map)
    app.wsgi_app = reading  # type: ignore[method-assign]
