"""The JSON twins of the site's pages: which page is what shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from index_service.accounts.directory import PEOPLE_SORTS, STATES
from index_service.json_api.routes import LIST_SORTS, Param, paged
from index_service.pages import (
    account,
    admin,
    entering,
    explore,
    graph,
    images,
    organisations,
    people,
    repository_settings,
    search,
    social,
)
from index_service.search.finder import SORTS
from index_service.services.tags import BY_PUSH, BY_SIZE, BY_VERSION


@dataclass(frozen=True, slots=True)
class Twin:
    """A page's address as JSON, and the page's own; `is_open` where it can be read without signing in."""

    rule: str
    page: str
    shape: Any
    query: tuple[Param, ...] = ()
    is_open: bool = True


def _twin(page: str, shape: Any, *, rule: str = "", query: tuple[Param, ...] = (), is_open: bool = True) -> Twin:
    return Twin(rule or f"{page}.json", page, shape, query, is_open)


_PAGED = tuple(paged())
_LISTED = tuple(paged(LIST_SORTS))
_NEXT = (Param("next", "Where to go on to: a path of this site."),)

TWINS = (
    _twin("/", explore.ExplorePage, rule="/index.json"),
    _twin("/sign-in", entering.SignInPage, query=_NEXT),
    _twin("/prove", entering.ProvePage, query=_NEXT, is_open=False),
    _twin("/sign-up", entering.SignUpPage),
    _twin("/confirm/<link>", entering.ConfirmPage),
    _twin("/reset", entering.AskResetPage),
    _twin("/reset/<link>", entering.ResetPage),
    _twin("/account", account.ProfilePage, is_open=False),
    _twin("/account/password", account.PasswordPage, is_open=False),
    _twin("/account/emails", account.EmailsPage, is_open=False),
    _twin("/account/sessions", account.SessionsPage, is_open=False),
    _twin("/account/tokens", account.TokensPage, is_open=False),
    _twin(
        "/search",
        search.SearchPage,
        query=(
            *paged(SORTS),
            Param("q", "Words."),
            Param("namespace", "Only of this namespace."),
            Param("official", "Only of `library`, where it says anything."),
            Param("starred", "Only what the reader starred, where it says anything."),
        ),
    ),
    _twin(
        "/r/<repository>",
        social.OverviewPage,
        rule="/r/<repository>/@overview.json",
        query=(Param("tag", "The tag that is shown how to pull."),),
    ),
    _twin("/r/<repository>/@comments", social.CommentsPage, query=_PAGED),
    _twin("/r/<repository>/@comments/<int:number>", social.CommentPage),
    _twin("/r/<repository>/@comments/<int:number>/delete", social.DeleteCommentPage, is_open=False),
    _twin("/r/<repository>/@tags", images.TagsPage, query=tuple(paged((BY_VERSION, BY_PUSH, BY_SIZE)))),
    _twin(
        "/r/<repository>/@tags/delete",
        images.DeleteTagsPage,
        query=(Param("tag", "A tag to be deleted; may stand several times."),),
        is_open=False,
    ),
    _twin(
        "/r/<repository>/@activity",
        images.ActivityPage,
        query=(*_PAGED, Param("tag", "Only what was done with this tag.")),
    ),
    _twin("/r/<repository>/@graph", graph.RepositoryGraphPage, query=_PAGED),
    _twin("/r/<repository>/@settings", repository_settings.RepositorySettingsPage, is_open=False),
    _twin("/r/<repository>/@settings/access", repository_settings.RepositorySettingsPage, is_open=False),
    _twin("/r/<repository>/@settings/transfer", repository_settings.RepositorySettingsPage, is_open=False),
    _twin("/r/<repository>/@settings/delete", repository_settings.RepositorySettingsPage, is_open=False),
    _twin("/i/<image_id>", images.ImagePage),
    _twin("/i/<image_id>/graph", graph.ImageGraphPage),
    _twin(
        "/graph",
        graph.GraphPage,
        query=(*_PAGED, Param("q", "Only images of the repositories that a search for this finds.")),
    ),
    _twin("/u/<name>", people.RepositoriesPage, rule="/u/<name>/@profile.json", query=_LISTED),
    _twin("/u/<name>/@starred", people.RepositoriesPage, query=_LISTED),
    _twin("/u/<name>/@activity", people.ActivityPage, query=_PAGED),
    _twin("/u/<name>/@access", people.AccessPage, is_open=False),
    _twin("/u/<name>/@members", organisations.MembersPage, query=_PAGED, is_open=False),
    _twin("/u/<name>/@teams", organisations.TeamsPage, query=_PAGED, is_open=False),
    _twin("/u/<name>/@teams/<team>", organisations.TeamPage, query=_PAGED, is_open=False),
    _twin("/u/<name>/@settings", organisations.OrganisationSettingsPage, is_open=False),
    _twin("/organisations/new", organisations.NewOrganisationPage, is_open=False),
    _twin("/admin", admin.AdminPage, is_open=False),
    _twin(
        "/admin/people",
        admin.PeoplePage,
        query=(
            *paged(PEOPLE_SORTS),
            Param("q", "Words in names or addresses."),
            Param("state", "Which accounts.", {"type": "string", "enum": [*STATES], "default": STATES[0]}),
        ),
        is_open=False,
    ),
    _twin("/admin/comments", social.ModerationPage, query=_PAGED, is_open=False),
    _twin("/admin/registries", admin.RegistriesPage, is_open=False),
    _twin("/admin/storage", admin.StoragePage, query=tuple(paged(("size", "saved", "name"))), is_open=False),
    _twin(
        "/admin/audit",
        admin.AuditPage,
        query=(
            *_PAGED,
            Param("actor", "Who did it."),
            Param("action", "What was done: `role.given`, or `role` for all that is done to roles."),
            Param("subject", "To whom or what: a name, or a namespace."),
            Param("since", "The first day.", {"type": "string", "format": "date"}),
            Param("until", "The last day.", {"type": "string", "format": "date"}),
        ),
        is_open=False,
    ),
)
