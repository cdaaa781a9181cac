"""The API's views, a module per kind of resource."""

from __future__ import annotations

from index_service.json_api.views import (
    account,
    admin,
    images,
    meta,
    organisations,
    people,
    repositories,
    roles,
    search,
    social,
)

ROUTES = (
    meta.routes,
    search.routes,
    repositories.routes,
    roles.routes,
    social.routes,
    images.routes,
    people.routes,
    organisations.routes,
    account.routes,
    admin.routes,
)
