"""The API described by itself."""

from __future__ import annotations

from typing import Any

from index_service.json_api.requester import api_context
from index_service.json_api.routes import Routes

routes = Routes("meta")


@routes.get("/openapi.json")
def get_document() -> dict[str, Any]:
    """Get this document."""
    return api_context().document
