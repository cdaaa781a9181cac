"""Sign-up and login (protocol §2.2)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from common.errors import Invalid
from common.http import read_json, reply
from index_service.accounts.validators import fold_name
from index_service.api.protocol_request import client_address, credential, protocol
from index_service.api.protocol_response import reply_empty
from index_service.services.registration import SignUp

views = Blueprint("users", __name__)


@views.get("/users")
@views.get("/users/")
def get_user() -> Response:
    """200 for a right login, 401 for a wrong one, 403 for an inactive account."""
    protocol().check_login(credential())
    return reply("OK")


@views.post("/users")
@views.post("/users/")
def post_user() -> Response:
    """201 for a new account. Daemons up to 1.10 go on to log in only after exactly this 400."""
    form = _form()
    outcome = protocol().sign_up(form.get("username"), form.get("password"), form.get("email"), client_address())
    if outcome is SignUp.TAKEN:
        return reply("Username or email already exists", 400)
    return reply("User Created", 201)


@views.put("/users/<name>")
@views.put("/users/<name>/")
def put_user(name: str) -> Response:
    """204: the password is changed, the address added."""
    form = _form()
    protocol().change_account(credential(), fold_name(name), form.get("password"), form.get("email"))
    return reply_empty()


def _form() -> dict[str, Any]:
    form = read_json(request)
    if not isinstance(form, dict):
        raise Invalid("Invalid data: expected an object")
    return form
