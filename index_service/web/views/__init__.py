"""The views, a module for each kind of page."""

from __future__ import annotations

from index_service.web.views import (
    account,
    admin,
    comments,
    entering,
    explore,
    graph,
    images,
    joining,
    organisations,
    people,
    repositories,
    repository_settings,
    search,
    tags,
)

VIEWS = (
    explore.views,
    search.views,
    entering.views,
    joining.views,
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
)
