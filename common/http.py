"""HTTP of both services: errors as a status and JSON (protocol §0.9, §0.19), the ping, request bodies.

The only module of `common` that imports Flask.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Blueprint, Flask, Request, Response, current_app, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed
from werkzeug.routing import PathConverter

from common import agents, distribution, errors, headers, log, request_record

VERSION = "1.0"
"""The value of X-Docker-Registry-Version. Daemons up to 0.10 require the header; none compares it (protocol §1.3)."""

MAX_JSON_BYTES = 4 * 1024 * 1024
"""The limit of a JSON body; the protocol's bodies are far smaller."""

STATUSES: dict[type[errors.Failure], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unmet: 412,
    errors.TooLarge: 413,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.OutOfSpace: 507,
}

CHALLENGE = 'Basic realm="auth required",Token'

NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
"""On every response: what daemons push must not become a page or a script in a browser."""

_NOT_CACHED = (("Cache-Control", "no-cache"), ("Pragma", "no-cache"), ("Expires", "-1"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{4,64}")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
# A worker's own few digits and a count: unique enough to find a line in a log, and no system call per request.
_process = secrets.token_hex(3)
_count = itertools.count(1)

logger = logging.getLogger(__name__)

views = Blueprint("service", __name__)


class RepositoryOfPart(PathConverter):
    """A repository's name before `/images`, `/json` and the like. After `/tags/` these words are tags."""

    regex = r"[^/].*?(?<!/tags)"


def reply(data: Any, status: int = 200, extra: dict[str, str] | None = None) -> Response:
    """A JSON response that is not cached. Its body has no trailing newline: clients compare some byte for byte."""
    response = Response(json.dumps(data), status, mimetype="application/json")
    response.headers.extend(_NOT_CACHED)
    if extra:
        response.headers.extend(extra)
    return response


def failure_reply(message: str, status: int) -> Response:
    """An error: a JSON object with the key `error`."""
    return reply({"error": message}, status)


def health_reply(services: list[str], failures: dict[str, str]) -> Response:
    """The result of a health check: what was checked, and what failed of it."""
    return reply({"services": services, "failures": failures}, 503 if failures else 200)


def send_to_v1(environ: WSGIEnvironment) -> Response | None:
    """The answer below `/v2/` to a daemon that is served by v1, and goes on there after it; None to anybody else."""
    if not agents.goes_on_by_v1(environ.get("HTTP_USER_AGENT", "")):
        return None
    logger.debug("%s goes on by v1", environ.get("HTTP_USER_AGENT"))
    return _finish(_failure(distribution.ManifestUnknown(distribution.NOT_FOR_DAEMONS), environ["PATH_INFO"]))


def token_required(
    environ: WSGIEnvironment, index_url: str, scope: str = "", *, had_token: bool
) -> distribution.TokenRequired:
    """Tells a client of `/v2/` to get a token at the index, which is at `index_url`, or if that is empty at the host
    that the client named. `had_token`: as in `distribution.challenge`.
    """
    host = environ.get("HTTP_HOST", "")
    host = host if is_host(host) else "registry"
    base = index_url or f"{environ['wsgi.url_scheme']}://{host}"
    realm = f"{base}{distribution.PREFIX}/token"
    return distribution.TokenRequired(distribution.challenge(realm, host, scope, had_token=had_token))


def read_json(source: Request, limit: int = MAX_JSON_BYTES) -> Any:
    """The body as JSON, whatever its content type. Raises Invalid, and TooLarge over `limit` bytes."""
    try:
        return json.loads(read_body(source, limit))
    except (ValueError, RecursionError) as error:
        raise errors.Invalid("Error Decoding JSON") from error


def positive(text: str | None, default: int) -> int:
    """A query parameter as a positive integer, `default` if empty. Raises Invalid."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) == 0:
        raise errors.Invalid(f"{text[:20]!r} is not a number of at least 1")
    return int(text)


def is_host(text: str) -> bool:
    """Whether it is a host, perhaps with a port, as clients name it."""
    return _HOST.fullmatch(text) is not None


def request_host() -> str | None:
    """The Host of the current request as the client sent it; None if it is missing or malformed.

    `Request.host` is empty for a host name with an underscore, which containers have.
    """
    host: str = request.environ.get("HTTP_HOST", "")
    return host if is_host(host) else None


def read_body(source: Request, limit: int) -> bytes:
    """The whole of a small body. Raises TooLarge over `limit` bytes, Invalid if it is truncated."""
    announced = source.content_length
    if announced is not None and announced > limit:
        raise errors.TooLarge(f"Request body is larger than {limit} bytes")
    body = b""
    for block in body_blocks(source, limit + 1):
        body += block
        if len(body) > limit:
            raise errors.TooLarge(f"Request body is larger than {limit} bytes")
    return body


def body_blocks(source: Request, block_size: int) -> Iterator[bytes]:
    """The body in blocks of at most `block_size` bytes, without chunked framing.

    Raises Invalid if the client disconnected, sent fewer bytes than Content-Length, or violated the framing. A server
    that decodes chunks passes a truncated body on as if it were complete, so the bytes are counted here.
    """
    received = 0
    try:
        while block := source.stream.read(block_size):
            received += len(block)
            yield block
    except (OSError, ParseException, ClientDisconnected) as error:
        raise errors.Invalid("Request body ended early") from error
    if received < (source.content_length or 0):
        raise errors.Invalid("Request body ended early")


def status_of(failure: errors.Failure) -> int:
    return next(STATUSES[kind] for kind in type(failure).__mro__ if kind in STATUSES)


def install(app: Flask, *, standalone: bool) -> None:
    """Add what both services share to an application: ping, request ids and JSON errors."""
    # Flask's own answer to OPTIONS calls itself HTML.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.converters["repository_of"] = RepositoryOfPart
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(errors.Failure, _on_failure)
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(Exception, _on_surprise)
    app.config["STANDALONE"] = standalone
    app.register_blueprint(views)


@views.get("/_ping")
@views.get("/v1/_ping")
def ping() -> Response:
    """This is a v1 service; a header says whether it is standalone (protocol §0.1, §1.3)."""
    standalone = "true" if current_app.config["STANDALONE"] else "false"
    return reply(True, extra={headers.REGISTRY_VERSION: VERSION, headers.STANDALONE: standalone})


def _begin_process() -> None:
    """Gunicorn's arbiter has imported this module before it forks the workers."""
    global _process
    _process = secrets.token_hex(3)


os.register_at_fork(after_in_child=_begin_process)


def begin(environ: WSGIEnvironment) -> request_record.Record:
    """Set the request's id: the one it was sent with, or a new one. Returns what is noted of the request."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    id_ = given if _REQUEST_ID.fullmatch(given) else f"{_process}{next(_count):x}"
    log.request_id.set(id_)
    return request_record.begin(environ, id_)


@lru_cache(maxsize=1024)
def route_of(rule: str) -> str:
    """The template of a path, without the converters that a rule of Flask names."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule)


def failed(error: Exception, environ: WSGIEnvironment) -> Response:
    """The response to a request that is handled outside Flask and failed."""
    return _finish(_failed(error, environ["REQUEST_METHOD"], environ["PATH_INFO"]))


def _begin() -> None:
    record = begin(request.environ)
    if request.url_rule is not None:
        record.route = route_of(request.url_rule.rule)
        record.repository = str((request.view_args or {}).get("repository", ""))


def _finish(response: Response) -> Response:
    if response.status_code in (204, 304):
        # Without a body there is no type; Flask would call it HTML.
        del response.headers["Content-Type"]
    response.headers[headers.REQUEST_ID] = log.request_id.get()
    response.headers.set(*NO_SNIFFING)
    return response


def _on_failure(failure: errors.Failure) -> Response:
    return _failed(failure, request.method, request.path)


def _on_http_exception(exception: HTTPException) -> Response:
    """Errors of routing: no such route, method not allowed, body too large; OPTIONS is told what is allowed."""
    if request.method == "OPTIONS" and isinstance(exception, MethodNotAllowed) and request.path.startswith("/v1/"):
        return Response(status=204, headers={"Allow": ", ".join(sorted({*(exception.valid_methods or ()), "OPTIONS"}))})
    return _failed(exception, request.method, request.path)


def _on_surprise(error: Exception) -> Response:
    return _failed(error, request.method, request.path)


def _failed(error: Exception, method: str, path: str) -> Response:
    if isinstance(error, errors.Failure):
        response = _failure(error, path)
        if isinstance(error, errors.Unavailable | errors.OutOfSpace):
            logger.warning("%s %s: %s", method, path, error.message)
        return response
    if isinstance(error, HTTPException):
        return _routing_failure(error, path)
    logger.error("%s %s failed", method, path, exc_info=error)
    return _in_form_of(path, f"Internal error; the log knows it as {log.request_id.get()}", 500)


def _failure(failure: errors.Failure, path: str) -> Response:
    response = _in_form_of(path, failure.message, status_of(failure), failure)
    if isinstance(failure, errors.Unauthenticated):
        challenge = failure.challenge if isinstance(failure, distribution.TokenRequired) else CHALLENGE
        response.headers["WWW-Authenticate"] = challenge
    elif isinstance(failure, errors.TooMany | errors.Unavailable) and failure.retry_after is not None:
        response.headers["Retry-After"] = str(failure.retry_after)
    return response


def _routing_failure(exception: HTTPException, path: str) -> Response:
    status = exception.code or 500
    is_write = status == 405 and distribution.is_below(path)
    response = _in_form_of(path, distribution.ONLY_READ if is_write else exception.name, status)
    for name, value in exception.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _in_form_of(path: str, message: str, status: int, failure: errors.Failure | None = None) -> Response:
    """An error in the form of the protocol that the path belongs to."""
    if distribution.is_below(path):
        return reply(distribution.failure_body(message, status, failure), status)
    return failure_reply(message, status)
