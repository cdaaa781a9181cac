"""The OpenAPI document, generated from the routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from index_service.accounts.privileges import REAUTHENTICATION_LASTS
from index_service.json_api import requester
from index_service.json_api.resources.lists import Error
from index_service.json_api.routes import Param, Route
from index_service.json_api.schemas import Schema, Schemas, described

VERSION = "3.1.0"

_NAMES = {
    "repository": "A repository's full name; its slashes stand as they are, and `library/` may be left out.",
    "image_id": "An image's id.",
    "name": "The name of a person or an organisation.",
    "person": "The name of a person.",
    "team": "The name of a team of the organisation.",
    "namespace": "The first part of repositories' names.",
    "comment": "The number of a comment.",
    "token": "The number of an access token.",
    "session": "The id of a session.",
    "protocol_token": "The digest of a pull or push token, as lists give it.",
}

_PASSWORD: list[Schema] = [{"password": []}]
_TOKEN: list[Schema] = [{"accessToken": []}]

_PROVED = (
    "Not open to access tokens; of a session the password must have been given in the last "
    f"{REAUTHENTICATION_LASTS // timedelta(minutes=1)} minutes."
)

_WHO: dict[Callable[[], Any], tuple[bool, bool, str]] = {
    requester.anybody: (True, True, ""),
    requester.known: (False, True, ""),
    requester.by_password: (False, False, "Not open to access tokens."),
    requester.proved: (False, False, _PROVED),
    requester.administrator: (False, False, "For administrators of the index; not open to access tokens."),
    requester.proved_administrator: (False, False, f"For administrators of the index. {_PROVED}"),
}
"""Of each who: whether a route is open without a login, and to access tokens; and what else there is to say."""

_SECURITY = {
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "The account's name, with its password or one of its access tokens.",
    },
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, `whp_…`: it opens no more than it was made for.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "",
        "description": "The site's own session, for scripts of its pages.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": requester.CSRF_HEADER,
        "description": "With a session, to change something: what the field `csrf` of any form of the site holds.",
    },
}

_INTRODUCTION = (
    "What the site shows and does, for programs; Docker clients speak another protocol, at `/v1`. "
    "Every error is an object with the key `error`. What one may not see is answered as what is not there."
)

_ERRORS = {
    "400": "What was sent makes no sense here; `error` says what to mend.",
    "401": "No login where one is needed, or a wrong one.",
    "403": "Not permitted.",
    "404": "Not there, or not for the caller to see.",
    "409": "Does not fit what is there.",
    "413": "The body is too large.",
    "429": "Too often; the header Retry-After says in how many seconds to try again.",
    "503": "Something that the index stands on does not answer.",
}


def document(routes: Sequence[Route], *, site: str, cookie: str) -> Schema:
    """As it is served; `site` is where, `cookie` the name of the session's."""
    paths, schemas = _described(tuple(routes))
    return {
        "openapi": VERSION,
        "info": {"title": "Wharfinger index", "version": "1", "description": _INTRODUCTION},
        "servers": [{"url": site}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {f"Error{status}": _error(text) for status, text in _ERRORS.items()},
            "securitySchemes": {**_SECURITY, "session": {**_SECURITY["session"], "name": cookie}},
        },
    }


@cache
def _described(routes: tuple[Route, ...]) -> tuple[dict[str, Schema], Schema]:
    """Paths and schemas, which no setting changes: every application of a process has the same."""
    bodies = [route.body for route in routes if route.body is not None]
    schemas = Schemas([*(route.answer for route in routes), Error], bodies)
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(readable(route.rule), {})[route.method.lower()] = _operation(schemas, route)
    return paths, dict(sorted(schemas.components.items()))


def readable(rule: str) -> str:
    """A rule's path, as OpenAPI writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def _operation(schemas: Schemas, route: Route) -> Schema:
    is_open, takes_tokens, more = _WHO[route.who]
    summary, description = _told(route.view)
    operation: Schema = {
        "operationId": route.view.__name__,
        "tags": [route.kind],
        "summary": summary,
        "description": " ".join(filter(None, (description, more))),
        "parameters": [*_in_path(route.rule), *map(_in_query, route.query)],
        "responses": {str(route.status): _answer(schemas, route), **_failures(route)},
        "security": _security(is_open=is_open, takes_tokens=takes_tokens, changes=route.method != "GET"),
    }
    if route.body is not None:
        content = {"application/json": {"schema": schemas.of(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return {key: value for key, value in operation.items() if value not in ("", [])}


def _told(view: Callable[..., Any]) -> tuple[str, str]:
    """A docstring's first sentence, and the rest of it."""
    text = described(view)
    first, stop, rest = text.partition(". ")
    return (first + stop).strip().removesuffix("."), rest


def _in_path(rule: str) -> list[Schema]:
    names = re.findall(r"<(?:(\w+):)?(\w+)>", rule)
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _NAMES[name],
            "schema": {"type": "integer" if converter in ("number", "small_number") else "string"},
        }
        for converter, name in names
    ]


def _in_query(param: Param) -> Schema:
    return {"name": param.name, "in": "query", "description": param.about, "schema": param.schema}


def _answer(schemas: Schemas, route: Route) -> Schema:
    if route.status == 204:
        return {"description": "Done."}
    answer = _content(schemas.of(route.answer), "Created." if route.status == 201 else "Found.")
    if any(param.name == "page" for param in route.query):
        about = 'Leads to the pages of the list beside this one: rel="prev" and rel="next".'
        answer["headers"] = {"Link": {"description": about, "schema": {"type": "string"}}}
    return answer


def _content(schema: Schema, text: str) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _failures(route: Route) -> Schema:
    statuses = {"401", "403", "429", "503"}
    if route.query or route.body is not None or "repository" in route.rule:
        statuses.add("400")
    if "<" in route.rule:
        statuses.add("404")
    if route.method != "GET":
        statuses |= {"409"}
    if route.body is not None:
        statuses.add("413")
    return _references(sorted(statuses))


def _references(statuses: Iterable[str]) -> Schema:
    return {status: {"$ref": f"#/components/responses/Error{status}"} for status in statuses}


def _error(text: str) -> Schema:
    return _content({"$ref": "#/components/schemas/Error"}, text)


def _security(*, is_open: bool, takes_tokens: bool, changes: bool) -> list[Schema]:
    session: Schema = {"session": [], "csrf": []} if changes else {"session": []}
    return [*([{}] if is_open else []), *_PASSWORD, *(_TOKEN if takes_tokens else []), session]
