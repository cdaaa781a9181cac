"""A layer on its way to the client: conditions, ranges, and the cheapest way to move the bytes.

Ranges follow RFC 9110, with what daemons need on top (protocol §1.6): an end one past the last byte is
clipped, and a start at the very end answers 416 with an empty body. The layer never bears Content-Encoding:
Go would unpack it on the way (§1.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Response, request
from werkzeug.http import is_resource_modified, parse_date
from werkzeug.wsgi import wrap_file

from registry_service.graph.images import Layer
from registry_service.services import ReadableImages

# Bounded: anybody may send thousands of blanks or digits, and no layer has more bytes than eighteen digits say.
_RANGE = re.compile(r"bytes\s{0,8}=\s{0,8}([0-9]{0,18})\s{0,8}-\s{0,8}([0-9]{0,18})", re.IGNORECASE)
_BLOCK = 1024 * 1024

FOR_EVER = 31536000
"""Seconds. An image id means the same bytes for ever (protocol §1.5)."""

NGINX_FILES = "/_files"
NGINX_STORE = "/_store"
"""Internal locations of the nginx in front; deploy/nginx has them."""

EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
"""Last-Modified of everything immutable; each date a client may hold is later."""


_EPOCH = parse_date(EPOCH)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `stop` (exclusive) of a whole."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


class Unsatisfiable(Exception):
    """A range that begins past the end."""


HandOver = Callable[[ReadableImages, Layer], Response | None]
"""Lets somebody else send a layer; None where it is better sent from here."""


def parse_range(header: str | None, size: int) -> Span | None:
    """The one range asked for, clipped to `size`; None for the whole: no range, several, or one malformed.

    Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, stop)


def remember(response: Response, etag: str | None = None) -> Response:
    """Headers of what never changes: kept for a year, by shared caches only where nobody had to prove who they are."""
    kind = "private" if "Authorization" in request.headers else "public"
    response.headers["Cache-Control"] = f"{kind}, max-age={FOR_EVER}"
    response.headers["Last-Modified"] = EPOCH
    if etag is not None:
        response.headers["ETag"] = etag
    return response


def unchanged(etag: str) -> Response | None:
    """304 for a client that holds this already; ask only once it is clear that it exists and may be read."""
    try:
        is_known = not is_resource_modified(request.environ, etag=etag.strip('"'), last_modified=_EPOCH)
    except OverflowError:
        # A year or a zone of more digits than a date has: not a date, and so no condition (RFC 9110 §13.1.3).
        is_known = False
    return remember(Response(status=304), etag) if is_known else None


def layer_response(images: ReadableImages, layer: Layer, hand_over: HandOver) -> Response:
    """The layer, or the part asked for, from whoever does it best."""
    not_modified = unchanged(layer.etag)
    if not_modified is not None:
        return not_modified
    try:
        span = parse_range(_applicable_range(layer), layer.size)
    except Unsatisfiable:
        # Said here whoever would send the rest: stores and proxies explain themselves in a body (protocol §1.6).
        return _unsatisfiable(layer)
    return hand_over(images, layer) or _own_response(images, layer, span)


def to_nobody(_images: ReadableImages, _layer: Layer) -> None:
    """Send every layer ourselves."""


def to_store(images: ReadableImages, layer: Layer) -> Response | None:
    """Redirect to the store's signed URL (protocol §1.9).

    Never from TLS to a plain address: daemons since 1.7 would take their token along. And never HEAD, for
    which the signature does not hold.
    """
    url = images.url_for(layer) if request.method == "GET" else None
    if url is None or (request.is_secure and not url.startswith("https://")):
        return None
    response = Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})
    response.autocorrect_location_header = False
    return response


def to_nginx(images: ReadableImages, layer: Layer) -> Response | None:
    """Let the nginx in front send its own copy: of the file, or of what it fetches from the store and keeps."""
    if images.local_path(layer) is not None:
        target = f"{NGINX_FILES}/{layer.path}"
    elif url := images.url_for(layer):
        parts = urlsplit(url)
        target = f"{NGINX_STORE}/{parts.scheme}/{parts.netloc}{parts.path}?{parts.query}"
    else:
        return None
    response = Response(mimetype="application/octet-stream", headers={"X-Accel-Redirect": target})
    return remember(response, layer.etag)


HANDED_OVER: dict[str, HandOver] = {"direct": to_nobody, "redirect": to_store, "nginx": to_nginx}
"""By the setting `delivery`."""


def _own_response(images: ReadableImages, layer: Layer, span: Span | None) -> Response:
    """A file of the machine goes out without passing through Python, anything else block by block."""
    whole = span or Span(0, layer.size)
    response = _body(images, layer, whole)
    response.headers["Content-Length"] = str(whole.length)
    response.headers["Accept-Ranges"] = "bytes"
    if span is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{layer.size}"
    return remember(response, layer.etag)


def _applicable_range(layer: Layer) -> str | None:
    """A range counts only while If-Range, where there is one, still names these very bytes (RFC 9110 §13.1.5)."""
    condition = request.headers.get("If-Range")
    if condition is not None and condition not in (layer.etag, EPOCH):
        return None
    return request.headers.get("Range")


def _body(images: ReadableImages, layer: Layer, span: Span) -> Response:
    if request.method == "HEAD":
        return Response(mimetype="application/octet-stream")
    # A server sends a file to its end; daemons ask for nothing else, and others get their middle in blocks.
    file = images.open_file(layer) if span.stop == layer.size else None
    if file is None:
        reader = images.open_layer(layer, span.start, span.length)
        response = Response(iter(reader), mimetype="application/octet-stream", direct_passthrough=True)
        response.call_on_close(reader.close)
        return response
    file.seek(span.start)
    return Response(
        wrap_file(request.environ, file, _BLOCK), mimetype="application/octet-stream", direct_passthrough=True
    )


def _unsatisfiable(layer: Layer) -> Response:
    response = Response(status=416, mimetype="application/octet-stream")
    response.headers["Content-Range"] = f"bytes */{layer.size}"
    response.headers["Content-Length"] = "0"
    return response
