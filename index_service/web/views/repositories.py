"""The overview page of a repository, and its star."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common.names import RepositoryName
from index_service.pages.social import OverviewPage
from index_service.web.addresses import repository_url
from index_service.web.asking import actor, known, next_path, services, site
from index_service.web.forms import Form
from index_service.web.showing import go_on, page, show

views = Blueprint("repository", __name__)


@page(views, "/r/<repository:repository>", "/repositories/{repository}")
def overview(repository: str) -> Response:
    """With `tag`, how to pull that one."""
    name = RepositoryName.parse(repository)
    found = services().social.overview(actor(), name, request.args.get("tag"))
    return show(OverviewPage.of(site().host, found), "repositories/overview.html")


@views.post("/r/<repository:repository>/@star")
def star(repository: str) -> Response:
    name, form = RepositoryName.parse(repository), Form.read("starred")
    services().social.set_starred(known().actor, name, is_starred=form.ticked("starred"))
    return go_on(next_path(repository_url(name)))
