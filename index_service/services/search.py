"""Search and discovery: repositories by words, the newest and most starred, and totals."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock

from common.errors import Unauthenticated
from index_service import markdown
from index_service.accounts.actor import Actor
from index_service.database import Database
from index_service.db import Clock
from index_service.repositories.roles import AccessControl
from index_service.search import finder, totals
from index_service.search.finder import Hit, Query, ResultPage
from index_service.search.totals import Totals
from index_service.social import comments
from index_service.social.comments import CommentView

EXPLORED = 8
COUNT_EVERY_SECONDS = 60.0
MAX_ANNOTATIONS = 3
MAX_EXCERPT = 240


@dataclass(frozen=True, slots=True)
class SearchResults:
    """A page of results, and the newest annotations by repository id."""

    page: ResultPage
    annotations: dict[int, list[CommentView]]


@dataclass(frozen=True, slots=True)
class Highlights:
    """The first repositories the actor may see, in three sort orders, and totals."""

    recent: list[Hit]
    starred: list[Hit]
    pulled: list[Hit]
    totals: Totals


def excerpt(view: CommentView) -> str:
    """What an annotation is pinned to, and the beginning of its words in one line."""
    pinned_to = view.tag or (view.image_id or "")[:12]
    text = markdown.comment(view.body).striptags()
    return f"{pinned_to}: {text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + '…'}"


class Search:
    """The requests of search and discovery."""

    def __init__(self, database: Database, access_control: AccessControl, clock: Clock) -> None:
        self._database = database
        self._access_control = access_control
        self._clock = clock
        self._counting = Lock()
        self._counted: tuple[Totals, float] | None = None

    def find(self, actor: Actor | None, query: Query) -> SearchResults:
        """Raises Unauthenticated if searching requires a login."""
        self._require_login(actor)
        with self._database.reading() as session:
            page = finder.search(session, query, self._access_control, actor)
            pinned = comments.pinned_in(session, [hit.id for hit in page.hits])
        return SearchResults(page, _by_repository(pinned))

    def explore(self, actor: Actor | None) -> Highlights:
        """Raises Unauthenticated as `find` does."""
        self._require_login(actor)
        with self._database.reading() as session:
            sorts = (finder.PUSHED, finder.STARS, finder.PULLS)
            recent, starred, pulled = finder.first(session, self._access_control, actor, sorts, EXPLORED)
        return Highlights(recent, starred, pulled, self._totals())

    def _totals(self) -> Totals:
        """Cached for a minute in each process; while one request recounts, others get the previous count."""
        known = self._counted
        if known is not None and (time.monotonic() < known[1] or not self._counting.acquire(blocking=False)):
            return known[0]
        if known is None:
            self._counting.acquire()
        try:
            with self._database.reading() as session:
                counted = totals.count(session, self._clock().date() - timedelta(days=6))
            self._counted = counted, time.monotonic() + COUNT_EVERY_SECONDS
        finally:
            self._counting.release()
        return counted

    def _require_login(self, actor: Actor | None) -> None:
        if actor is None and self._access_control.login_only:
            raise Unauthenticated("Requires authorization")


def _by_repository(pinned: list[CommentView]) -> dict[int, list[CommentView]]:
    found: dict[int, list[CommentView]] = {}
    for view in pinned:
        kept = found.setdefault(view.repository_id, [])
        if len(kept) < MAX_ANNOTATIONS:
            kept.append(view)
    return found
