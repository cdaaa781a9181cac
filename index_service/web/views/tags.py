"""A repository's tags: list, activity and deletion."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common.names import RepositoryName, Tag
from index_service import paging
from index_service.current import services
from index_service.pages.images import ActivityPage, DeleteTagsPage, TagsPage
from index_service.services.tags import BY_PUSH, BY_SIZE, BY_VERSION, MOVES_AT_ONCE, TAGS_AT_ONCE
from index_service.web.languages import gettext, ngettext
from index_service.web.request_context import actor, require_reauthenticated
from index_service.web.responses import flash, page, redirect_to, render_page
from index_service.web.urls import repository_url

views = Blueprint("tags", __name__)


@page(views, "/r/<repository:repository>/@tags", "/repositories/{repository}/@tags")
def listing(repository: str) -> Response:
    name = RepositoryName.parse(repository)
    asked = paging.asked(request.args, (BY_VERSION, BY_PUSH, BY_SIZE), TAGS_AT_ONCE)
    tags = services().tags.tags(actor(), name, asked.sort, asked.offset)
    return render_page(TagsPage.of(tags, asked), "tags/listing.html")


@page(views, "/r/<repository:repository>/@tags/delete")
def confirm_deletion(repository: str) -> Response:
    who, name = require_reauthenticated().actor, RepositoryName.parse(repository)
    preview = services().deletion.preview(who, name, _chosen(request.args.getlist("tag")))
    if not preview.tags:
        flash("note", gettext("Select the tags to delete first."))
        return redirect_to(repository_url(name, "tags"))
    return render_page(DeleteTagsPage.of(services().summaries.of(who, name), preview), "tags/delete.html")


@views.post("/r/<repository:repository>/@tags/delete")
def delete(repository: str) -> Response:
    who, name, tags = (
        require_reauthenticated().actor,
        RepositoryName.parse(repository),
        _chosen(request.form.getlist("tag")),
    )
    services().deletion.delete_tags(who, name, tags)
    flash("success", ngettext("%(num)s tag deleted.", "%(num)s tags deleted.", len(tags)))
    return redirect_to(repository_url(name, "tags"))


@page(views, "/r/<repository:repository>/@activity", "/repositories/{repository}/@activity")
def activity(repository: str) -> Response:
    name, tag = RepositoryName.parse(repository), request.args.get("tag", "")
    asked = paging.asked(request.args, size=MOVES_AT_ONCE)
    found = services().tags.activity(actor(), name, Tag(tag) if tag else None, asked.offset)
    return render_page(ActivityPage.of(found, tag, asked), "tags/activity.html")


def _chosen(tags: list[str]) -> list[Tag]:
    """No more than a page shows at once."""
    return [Tag(tag) for tag in dict.fromkeys(tags[: 20 * TAGS_AT_ONCE])]
