"""The views, a module for each kind of page."""

from __future__ import annotations

from index_service.web.views import (
    account,
    admin,
    entering,
    explore,
    graph,
    images,
    joining,
    organisations,
    people,
    repository_settings,
    tags,
)

VIEWS = (
    explore.views,
    entering.views,
    joining.views,
    account.views,
    people.views,
    organisations.views,
    repository_settings.views,
    admin.views,
    tags.views,
    images.views,
    graph.views,
)
