"""The overview page of a repository, and its star."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common.names import RepositoryName
from index_service.current import services
from index_service.pages.social import OverviewPage
from index_service.web.forms import Form
from index_service.web.request_context import actor, next_path, require_signed_in, site
from index_service.web.responses import page, redirect_to, render_page
from index_service.web.urls import repository_url

views = Blueprint("repository", __name__)


@page(views, "/r/<repository:repository>", "/repositories/{repository}")
def overview(repository: str) -> Response:
    """With `tag`, how to pull that one."""
    name = RepositoryName.parse(repository)
    found = services().social.overview(actor(), name, request.args.get("tag"))
    is_secure = site().origin.startswith("https:")
    return render_page(OverviewPage.of(site().host, found, is_secure=is_secure), "repositories/overview.html")


@views.post("/r/<repository:repository>/@star")
def star(repository: str) -> Response:
    name, form = RepositoryName.parse(repository), Form.read("starred")
    services().social.set_starred(require_signed_in().actor, name, is_starred=form.ticked("starred"))
    return redirect_to(next_path(repository_url(name)))
