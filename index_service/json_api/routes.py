"""Routes with their parameters and results, from which the API and its OpenAPI document are both built.

A route of the index is declared in one of two ways: with a Flask blueprint (`@views.get` and its like; `@page` of the
site names the API's resource besides), or with the `Routes` of this module, a blueprint that records its routes.

A view is a function of the parameters in its path, and of `body` if it takes one; it returns the resource, or None for
an empty response. Its annotations define the schemas, its docstring the summary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, get_type_hints
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from werkzeug.routing import BaseConverter, PathConverter

from index_service.json_api import bodies, requester, schemas
from index_service.json_api.resources.lists import Paging, UncountedPage
from index_service.search.finder import NAME, PULLS, PUSHED, STARS

PREFIX = "/api/v1"

LIST_SORTS = (PUSHED, STARS, PULLS, NAME)
"""The orders of lists of repositories without words."""

View = Callable[..., Any]


class Named(PathConverter):
    """A repository's name with all its slashes; what follows it begins with `@`, which no name holds."""

    regex = r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*"


class Someone(BaseConverter):
    """The name of a person, an organisation or a team; what could be nobody's is no path."""

    regex = r"[a-z0-9][a-z0-9._-]{1,29}"


class Digest(BaseConverter):
    """What a session is known by."""

    regex = r"[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter in the query."""

    name: str
    about: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Route:
    """What one method of one path does; there is one of each."""

    kind: str
    method: str
    rule: str
    view: View
    who: Callable[[], Any]
    query: tuple[Param, ...]
    body: Any
    answer: Any
    status: int


class Routes:
    """The routes of one kind, which stand together in the document."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.blueprint = Blueprint(f"json_api_{kind}", __name__)
        self.described: list[Route] = []

    def get(self, rule: str, *, who: Callable[[], Any] = requester.anybody, query: Sequence[Param] = ()) -> Any:
        return self._route("GET", rule, who, query)

    def post(self, rule: str, *, who: Callable[[], Any] = requester.known) -> Any:
        return self._route("POST", rule, who)

    def put(self, rule: str, *, who: Callable[[], Any] = requester.known) -> Any:
        return self._route("PUT", rule, who)

    def patch(self, rule: str, *, who: Callable[[], Any] = requester.known) -> Any:
        return self._route("PATCH", rule, who)

    def delete(self, rule: str, *, who: Callable[[], Any] = requester.known) -> Any:
        return self._route("DELETE", rule, who)

    def _route(
        self, method: str, rule: str, who: Callable[[], Any], query: Sequence[Param] = ()
    ) -> Callable[[View], View]:
        """`who` authorizes the request before its body is read."""

        def register(view: View) -> View:
            hints = get_type_hints(view)
            answer = hints["return"]
            status = 204 if answer is type(None) else 201 if method == "POST" else 200
            route = Route(
                kind=self.kind,
                method=method,
                rule=PREFIX + rule,
                view=view,
                who=who,
                query=tuple(query),
                body=hints.get("body"),
                answer=answer,
                status=status,
            )
            self.described.append(route)
            self.blueprint.route(route.rule, methods=[method])(_answering(route))
            return view

        return register


def paged(sorts: Sequence[str] = ()) -> list[Param]:
    """The parameters of a list in pages, as `paging.asked` reads them; the first of `sorts` is the default."""
    page = Param("page", "The page of the list, from 1.", {"type": "integer", "minimum": 1, "default": 1})
    if not sorts:
        return [page]
    return [page, Param("sort", "The order of the list.", {"type": "string", "enum": [*sorts], "default": sorts[0]})]


def argument(name: str, default: str = "", most: int = 255) -> str:
    """A text of the query string. Raises Invalid."""
    return bodies.validate_length(name, bodies.validate_text(name, request.args.get(name, default)), most)


def _answering(route: Route) -> View:
    @wraps(route.view)
    def answering(**names: Any) -> Response:
        route.who()
        body = {} if route.body is None else {"body": bodies.read(route.body)}
        return _dressed(route.view(**names, **body), route.status)

    return answering


def _dressed(answer: Any, status: int) -> Response:
    if answer is None:
        return Response(status=204)
    response = Response(schemas.encode(answer), status, mimetype="application/json")
    response.headers.extend(_links(answer))
    return response


def _links(answer: Any) -> dict[str, str]:
    """The header Link with the URLs of the neighbouring pages of a list."""
    paging = getattr(answer, "paging", None)
    if isinstance(paging, Paging):
        number, is_more = paging.number, paging.number * paging.size < paging.total
    elif isinstance(answer, UncountedPage):
        number, is_more = answer.page, answer.is_more
    else:
        return {}
    links = [_link(number - 1, "prev")] * (number > 1) + [_link(number + 1, "next")] * is_more
    return {"Link": ", ".join(links)} if links else {}


def _link(page: int, relation: str) -> str:
    arguments = {**request.args.to_dict(flat=False), "page": [str(page)]}
    return f'<{request.script_root}{request.path}?{urlencode(arguments, doseq=True)}>; rel="{relation}"'
