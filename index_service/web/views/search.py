"""The search page, and OpenSearch for browsers."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common.names import RepositoryName
from index_service import paging
from index_service.current import services
from index_service.pages.search import SearchPage
from index_service.search.finder import SORTS, Query
from index_service.web.rendering import render
from index_service.web.request_context import actor, require_signed_in, search_query
from index_service.web.responses import page, render_page

views = Blueprint("site_search", __name__)


@page(views, "/search", "/search")
def search() -> Response:
    """An empty query lists everything."""
    asked = paging.asked(request.args, SORTS)
    starred = bool(request.args.get("starred"))
    query = Query(
        text=search_query(),
        page=asked.number,
        page_size=asked.size,
        sort=asked.sort,
        namespace=_namespace(),
        is_official=bool(request.args.get("official")),
        starred_by=require_signed_in().actor.id if starred else None,
    )
    found = services().search.find(actor(), query)
    return render_page(SearchPage.of(query, found, asked, services().images.only(actor(), query.text)), "search.html")


@views.get("/opensearch.xml")
def opensearch() -> Response:
    """What a browser adds to its search field."""
    return Response(render("opensearch.xml"), content_type="application/opensearchdescription+xml")


def _namespace() -> str:
    """An impossible namespace finds nothing. Raises Invalid."""
    text = request.args.get("namespace", "").strip()
    return RepositoryName.parse(f"{text}/any").namespace if text else ""
