"""Error pages: failures as HTML, with the request id that the log records."""

from __future__ import annotations

import json
from dataclasses import dataclass

from flask import Response, g, url_for

from common import log
from index_service.web import error_texts
from index_service.web.rendering import render
from index_service.web.request_context import ReauthenticationRequired
from index_service.web.responses import current_path, redirect_to

_KEPT = ("Retry-After", "Allow")


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """The page of a failure."""

    status: int
    title: str
    explanation: str
    request_id: str


def to_error_page(response: Response) -> Response:
    """Turn a failure, which `common.http` made JSON, into an error page; leave every other response as it is.

    A page never answers 401, which would make browsers open a password dialog of their own.
    """
    if response.status_code < 400 or response.mimetype != "application/json":
        return response
    if response.status_code == 401:
        return _redirect_to("sign_in.sign_in")
    dressed = _page(json.loads(response.get_data())["error"], response.status_code)
    dressed.headers.extend((name, response.headers[name]) for name in _KEPT if name in response.headers)
    return dressed


def redirect_to_password(_: ReauthenticationRequired) -> Response:
    """Redirect to the password page, and from there back to the current one."""
    return _redirect_to("sign_in.prove")


def _page(message: str, status: int) -> Response:
    shown = ErrorPage(status, error_texts.title(status), error_texts.explanation(status, message), log.request_id.get())
    if status >= 500:
        # The lookup of the session may be what failed.
        g.setdefault("person", None)
    text = render("failure.html", page=shown, alternate=None)
    response = Response(text, status, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response


def _redirect_to(endpoint: str) -> Response:
    """Redirect to enter the password, and then back; a form has to be filled in again."""
    return redirect_to(url_for(endpoint, next=current_path()))
