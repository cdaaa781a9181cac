"""CSRF protection: every form of the site carries a token, and other forms are refused."""

from __future__ import annotations

from flask import g, request
from markupsafe import Markup

from common.errors import Forbidden
from index_service import csrf_tokens
from index_service.web.request_context import signed_in, site

FIELD = "csrf"
MAX_FORM_BYTES = 2 * 1024 * 1024


class CsrfFailure(Forbidden):
    """The CSRF check failed: another site sent the form, or a page older than this session."""

    def __init__(self) -> None:
        super().__init__("The form has expired or was not sent from this site; reload the page")


def verify() -> None:
    """Checks the CSRF token of every changing request. Raises CsrfFailure."""
    request.max_content_length = request.max_form_memory_size = MAX_FORM_BYTES
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if not csrf_tokens.is_same_origin(site().origin) or not csrf_tokens.is_equal(request.form.get(FIELD, ""), token()):
        raise CsrfFailure


def token() -> str:
    """The CSRF token of a form; a new one after every sign-in."""
    found, cookies = signed_in(), site().cookies
    if found is not None:
        return csrf_tokens.of_session(cookies, found.session)
    return csrf_tokens.derive(cookies, f"visitor:{cookies.visitor()}")


def field() -> Markup:
    """The CSRF token as a hidden field; a page may have many forms."""
    if "form_field" not in g:
        g.form_field = Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token())
    drawn: Markup = g.form_field
    return drawn
