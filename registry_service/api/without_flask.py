"""Responses to requests that are answered before Flask, which its own does for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from common import headers, http, log
from registry_service.api import request_context
from registry_service.api.delivery import Answer


def respond(
    environ: WSGIEnvironment, start_response: StartResponse, answer: Callable[[WSGIEnvironment], Answer]
) -> Iterable[bytes]:
    """Send the answer, or the failure that it raises, of a request that `http.begin` began."""
    request_context.set_mirrors(environ)
    try:
        found = answer(environ)
    except Exception as error:  # noqa: BLE001 - as in Flask, every exception becomes a response
        return http.failed(error, environ)(environ, start_response)
    found.headers += ((headers.REQUEST_ID, log.request_id.get()), http.NO_SNIFFING)
    start_response(found.status, found.headers)
    return found.body
