"""The image graph: a repository's tags side by side, an image's descendants, the tree of all images."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common.names import RepositoryName
from index_service import paging
from index_service.current import services
from index_service.pages import dot
from index_service.pages.graph import GraphPage, ImageGraphPage, RepositoryGraphPage
from index_service.services.image_graph import LANES_AT_ONCE, ROOTS_AT_ONCE
from index_service.web.request_context import actor, search_query
from index_service.web.responses import cache_privately, page, redirect_to, render_page, same_page

views = Blueprint("graph", __name__)


@page(views, "/r/<repository:repository>/@graph", "/repositories/{repository}/@graph")
def repository(repository: str) -> Response:
    return render_page(_lanes(repository), "graph/repository.html")


@views.get("/r/<repository:repository>/@graph.dot")
def repository_dot(repository: str) -> Response:
    """What the page draws, for Graphviz."""
    response = Response(dot.lanes(_lanes(repository)), content_type="text/vnd.graphviz; charset=utf-8")
    response.headers["Content-Disposition"] = "attachment; filename=layers.dot"
    return cache_privately(response)


@page(views, "/i/<image_id>/graph", "/images/{image_id}/descendants")
def image(image_id: str) -> Response:
    whole = services().images.whole(actor(), image_id)
    if whole != image_id:
        return redirect_to(same_page(image_id=whole))
    return render_page(ImageGraphPage.of(services().image_graph.descent(actor(), whole)), "graph/image.html")


@page(views, "/graph", "/graph")
def forest() -> Response:
    asked, query = paging.asked(request.args, size=ROOTS_AT_ONCE), search_query()
    found = services().image_graph.forest(actor(), asked.offset, query)
    return render_page(GraphPage.of(query, found, asked), "graph/forest.html")


def _lanes(repository: str) -> RepositoryGraphPage:
    name, asked = RepositoryName.parse(repository), paging.asked(request.args, size=LANES_AT_ONCE)
    lanes = services().image_graph.lanes(actor(), name, asked.offset)
    return RepositoryGraphPage.of(lanes, asked)
