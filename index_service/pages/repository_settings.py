"""The pages where a repository's settings are changed."""

from __future__ import annotations

from dataclasses import dataclass

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
    holdings: RepositoryStats
    holders: tuple[Holder, ...]
    teams: tuple[str, ...]
    form: FormState = EMPTY

    @classmethod
    def of(
        cls, head: RepositorySummary, settings: RepositorySettings, form: FormState = EMPTY
    ) -> RepositorySettingsPage:
        return cls(
            head=head,
            readme=settings.readme,
            holdings=settings.holdings,
            holders=Holder.all(settings.given),
            teams=tuple(settings.teams),
            form=form,
        )
