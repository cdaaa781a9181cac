"""Static assets: read once, served at URLs that change with their content.

The one stylesheet and the one script of the site are each put together from the parts in `styles/` and `scripts/`, in
the order of their names, so that each page has a part in a file of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, current_app, request

from common.errors import NotFound
from index_service.web.urls import mounted

ROOT = Path(__file__).parent
EXTENSION = "wharfinger-assets"

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_NOW = "public, max-age=300"

views = Blueprint("assets", __name__)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served; `version` is a digest of its content."""

    content: bytes
    mimetype: str
    version: str


def load() -> dict[str, Asset]:
    """All of them, by name."""
    parts = {"style.css": _joined("styles", "*.css"), "script.js": _joined("scripts", "*.js")}
    files = {path.name: path.read_bytes() for path in sorted((ROOT / "static").iterdir())}
    return {name: _asset(name, content) for name, content in (parts | files).items()}


def url(name: str) -> str:
    """The URL of an asset, which may be cached for ever."""
    return mounted(f"/static/{name}?v={_all()[name].version}")


@views.get("/static/<name>")
def static(name: str) -> Response:
    """An asset, cached for ever if the URL contains its digest."""
    asset = _all().get(name)
    if asset is None:
        raise NotFound("No such file")
    response = Response(asset.content, content_type=asset.mimetype)
    response.headers["Cache-Control"] = _FOR_EVER if request.args.get("v") == asset.version else _FOR_NOW
    response.set_etag(asset.version)
    response.make_conditional(request)
    return response


def _all() -> dict[str, Asset]:
    assets: dict[str, Asset] = current_app.extensions[EXTENSION]
    return assets


def _joined(folder: str, pattern: str) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted((ROOT / folder).glob(pattern)))


def _asset(name: str, content: bytes) -> Asset:
    return Asset(content, _TYPES[Path(name).suffix], hashlib.sha256(content).hexdigest()[:16])
