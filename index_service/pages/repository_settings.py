"""The pages where a repository's settings are changed."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from index_service.pages.forms import EMPTY, FormState
from index_service.pages.people import Holder
from index_service.repositories.repository_stats import RepositoryStats
from index_service.services.permissions import RepositorySettings
from index_service.services.summaries import RepositorySummary


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettingsPage:
    """All that can be changed; what only administrators of the repository see is empty for its other writers."""

    head: RepositorySummary
    readme: str
    source_url: str
    holdings: RepositoryStats
    holders: tuple[Holder, ...]
    teams: tuple[str, ...]
    form: FormState = EMPTY
    preview: Markup | None = None
    """The README of the form as its page will show it, where that was asked for."""

    @classmethod
    def of(
        cls, head: RepositorySummary, settings: RepositorySettings, form: FormState, preview: Markup | None
    ) -> RepositorySettingsPage:
        return cls(
            head=head,
            readme=settings.readme,
            source_url=settings.source_url,
            holdings=settings.holdings,
            holders=Holder.all(settings.given),
            teams=tuple(settings.teams),
            form=form,
            preview=preview,
        )
