"""Delivery of images: conditional requests, ranges, cache headers, and the strategy that sends a layer's bytes.

Ranges follow RFC 9110, with what daemons need on top (protocol §1.6): an end one past the last byte is
clipped, and a start at the very end answers 416 with an empty body. The layer never bears Content-Encoding:
Go would unpack it on the way (§1.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

from werkzeug.http import is_resource_modified, parse_date, parse_etags
from werkzeug.wsgi import wrap_file

from common.metrics import BYTES_SENT
from registry_service.graph.images import Layer
from registry_service.services import ReadableImages

# Bounded: anybody may send thousands of blanks or digits, and no layer has more bytes than eighteen digits say.
_RANGE = re.compile(r"bytes\s{0,8}=\s{0,8}([0-9]{0,18})\s{0,8}-\s{0,8}([0-9]{0,18})", re.IGNORECASE)
_BLOCK = 1024 * 1024

YEAR_SECONDS = 31536000
"""Seconds. An image id means the same bytes for ever (protocol §1.5)."""

NGINX_FILES = "/_files"
NGINX_STORE = "/_store"
"""Internal locations of the nginx in front; deploy/nginx has them."""

EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
"""Last-Modified of everything immutable; each date a client may hold is later."""

_EPOCH = parse_date(EPOCH)
_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_MATCH")
_OCTETS = ("Content-Type", "application/octet-stream")


@dataclass(slots=True)
class Answer:
    """A response; the server that sends the body closes it. `is_shareable` if it is the same for whoever may have it at
    all, for some seconds."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes] = ()
    is_shareable: bool = False


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


DeliveryStrategy = Callable[[WSGIEnvironment, ReadableImages, Layer], Answer | None]
"""How a layer is sent by another server; returns None where this one is to send it."""


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


def cache_headers(environ: WSGIEnvironment, etag: str) -> list[tuple[str, str]]:
    """Cache headers of immutable content: a year, and shared caches only where the request carried no credentials."""
    kind = "private" if "HTTP_AUTHORIZATION" in environ else "public"
    return [("Cache-Control", f"{kind}, max-age={YEAR_SECONDS}"), ("Last-Modified", EPOCH), ("ETag", etag)]


def unchanged(environ: WSGIEnvironment, etag: str) -> Answer | None:
    """304 for a client that has this version; call it once the image is known to exist and to be readable."""
    if not any(condition in environ for condition in _CONDITIONS):
        return None
    try:
        is_known = not is_resource_modified(environ, etag=etag.strip('"'), last_modified=_EPOCH)
    except OverflowError:
        # A year or a zone of more digits than a date has: not a date, and so no condition (RFC 9110 §13.1.3).
        is_known = False
    return Answer("304 NOT MODIFIED", cache_headers(environ, etag)) if is_known else None


def has_version(environ: WSGIEnvironment, etag: str) -> bool:
    """Whether the client has this version of what may change: no date tells."""
    condition = environ.get("HTTP_IF_NONE_MATCH")
    return condition is not None and parse_etags(condition).contains_weak(etag.strip('"'))


def small(environ: WSGIEnvironment, body: bytes, etag: str, content_type: str = "application/json") -> Answer:
    """Immutable content of a few kilobytes."""
    said = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    sent = () if _is_head(environ) else (body,)
    return Answer("200 OK", [*said, *cache_headers(environ, etag)], sent, is_shareable=True)


def layer_answer(environ: WSGIEnvironment, images: ReadableImages, layer: Layer, strategy: DeliveryStrategy) -> Answer:
    """The layer or the requested range of it, by the delivery strategy."""
    not_modified = unchanged(environ, layer.etag)
    if not_modified is not None:
        return not_modified
    try:
        span = parse_range(_applicable_range(environ, layer), layer.size)
    except Unsatisfiable:
        # Never delegated: stores and proxies send a body with it (protocol §1.6).
        return Answer(
            "416 REQUESTED RANGE NOT SATISFIABLE",
            [_OCTETS, ("Content-Range", f"bytes */{layer.size}"), ("Content-Length", "0")],
        )
    return strategy(environ, images, layer) or _own_answer(environ, images, layer, span)


def strategy_of(delivery: str) -> DeliveryStrategy:
    """The strategy of the setting `delivery`."""
    known: dict[str, DeliveryStrategy] = {
        "direct": send_directly,
        "redirect": redirect_to_store,
        "nginx": accel_redirect,
    }
    return known[delivery]


def send_directly(_environ: WSGIEnvironment, _images: ReadableImages, _layer: Layer) -> None:
    """No delegation: this registry sends every layer."""


def redirect_to_store(environ: WSGIEnvironment, images: ReadableImages, layer: Layer) -> Answer | None:
    """Redirect to the store's signed URL (protocol §1.9).

    Never from TLS to a plain address: daemons since 1.7 would take their token along. And never HEAD, for
    which the signature does not hold.
    """
    url = None if _is_head(environ) else images.url_for(layer)
    if url is None or (environ["wsgi.url_scheme"] == "https" and not url.startswith("https://")):
        return None
    BYTES_SENT.add("registry", "redirect", amount=layer.size)
    said = [("Location", url), ("Cache-Control", "no-store"), ("Content-Length", "0")]
    return Answer("302 FOUND", said, is_shareable=True)


def accel_redirect(environ: WSGIEnvironment, images: ReadableImages, layer: Layer) -> Answer | None:
    """X-Accel-Redirect: the nginx in front sends the file, or its cached copy of the object in the store."""
    if images.local_path(layer) is not None:
        target = f"{NGINX_FILES}/{layer.path}"
    elif url := images.url_for(layer):
        parts = urlsplit(url)
        target = f"{NGINX_STORE}/{parts.scheme}/{parts.netloc}{parts.path}?{parts.query}"
    else:
        return None
    if not _is_head(environ):
        BYTES_SENT.add("registry", "nginx", amount=layer.size)
    said = [_OCTETS, ("Content-Length", "0"), ("X-Accel-Redirect", target)]
    return Answer("200 OK", [*said, *cache_headers(environ, layer.etag)], is_shareable=True)


def _own_answer(environ: WSGIEnvironment, images: ReadableImages, layer: Layer, span: Span | None) -> Answer:
    """A local file is sent by sendfile, anything else block by block."""
    whole = span or Span(0, layer.size)
    said = [_OCTETS, ("Content-Length", str(whole.length)), ("Accept-Ranges", "bytes")]
    if span is not None:
        said.append(("Content-Range", f"bytes {span.start}-{span.stop - 1}/{layer.size}"))
    body = () if _is_head(environ) else _body(environ, images, layer, whole)
    return Answer("200 OK" if span is None else "206 PARTIAL CONTENT", said + cache_headers(environ, layer.etag), body)


def _is_head(environ: WSGIEnvironment) -> bool:
    return bool(environ["REQUEST_METHOD"] == "HEAD")


def _applicable_range(environ: WSGIEnvironment, layer: Layer) -> str | None:
    """A range counts only while If-Range, where there is one, still names these very bytes (RFC 9110 §13.1.5)."""
    if environ.get("HTTP_IF_RANGE", layer.etag) not in (layer.etag, EPOCH):
        return None
    return environ.get("HTTP_RANGE")


def _body(environ: WSGIEnvironment, images: ReadableImages, layer: Layer, span: Span) -> Iterable[bytes]:
    # A server sends a file to its end; daemons ask for nothing else, and others get their middle in blocks.
    file = images.open_file(layer) if span.stop == layer.size else None
    if file is None:
        return images.open_layer(layer, span.start, span.length)
    file.seek(span.start)
    return wrap_file(environ, file, _BLOCK)
