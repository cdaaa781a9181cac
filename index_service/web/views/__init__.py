"""The site's views, a module per kind of page."""

from __future__ import annotations

from index_service.web.views import (
    account,
    admin,
    comments,
    explore,
    graph,
    images,
    organisations,
    people,
    repositories,
    repository_settings,
    search,
    security,
    sign_in,
    sign_up,
    tags,
)

VIEWS = (
    explore.views,
    search.views,
    sign_in.views,
    sign_up.views,
    account.views,
    people.views,
    organisations.views,
    repositories.views,
    comments.views,
    repository_settings.views,
    admin.views,
    tags.views,
    images.views,
    graph.views,
    security.views,
)
