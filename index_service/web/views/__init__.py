"""The views, a module for each kind of page."""

from __future__ import annotations

from index_service.web.views import account, entering, explore, joining

VIEWS = (explore.views, entering.views, joining.views, account.views)
