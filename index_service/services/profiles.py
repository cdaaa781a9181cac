"""Profiles: a person, an organisation or `library`, with repositories and activity.

Each method is one request. The existence of an account is visible with a login, and to everybody if sign-up is open,
because signing up reveals it anyway (protocol §2.2). Otherwise a stranger only sees those that have something public.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.errors import NotFound, Unauthenticated
from common.names import LIBRARY, RepositoryName
from index_service.accounts import directory, organisations, validators
from index_service.accounts.actor import Actor
from index_service.accounts.directory import Membership
from index_service.accounts.models import Namespace, Organisation, User
from index_service.accounts.privileges import is_administrator
from index_service.database import Database
from index_service.repositories import holdings, tag_history
from index_service.repositories.models import Repository
from index_service.repositories.roles import AccessControl
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.search import finder
from index_service.search.finder import Hit, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicProfile:
    """A public profile. `kind` is person, organisation or library; `standing` the actor's relation: self, owner, member
    or nothing. Of a closed account only the name is shown."""

    kind: str
    name: str
    full_name: str = ""
    about: str = ""
    location: str = ""
    company: str = ""
    website: str = ""
    since: datetime | None = None
    is_active: bool = True
    standing: str = ""
    may_manage: bool = False
    organisations: tuple[Membership, ...] = ()


@dataclass(frozen=True, slots=True)
class NamespaceActivity:
    """A tag history, the newest first, and those of its images, by repository, that have a page."""

    moves: list[TagHistoryEvent]
    shared: set[tuple[RepositoryName, str]]


class Profiles:
    """The questions of the pages of people and organisations."""

    def __init__(self, database: Database, access_control: AccessControl, *, tells_names: bool) -> None:
        self._database = database
        self._access_control = access_control
        self._tells_names = tells_names

    def shown(self, actor: Actor | None, name: str) -> PublicProfile:
        """Raises NotFound, or Unauthenticated if everything requires a login."""
        with self._database.reading() as session:
            return self._shown(session, actor, self._namespace(session, actor, name))

    def repositories(self, actor: Actor | None, name: str, sort: str, limit: int, page: int) -> tuple[list[Hit], int]:
        """The namespace's repositories that the actor may see, and their total. Raises as `shown` does."""
        with self._database.reading() as session:
            self._namespace(session, actor, name)
            query = Query(text="", page=page, page_size=limit, sort=sort, namespace=name)
            return self._page(session, query, actor)

    def starred(self, actor: Actor | None, name: str, sort: str, limit: int, page: int) -> tuple[list[Hit], int]:
        """A person's starred repositories, as far as the actor may see them. Raises as `shown` does."""
        with self._database.reading() as session:
            person = self._namespace(session, actor, name).user_id
            if person is None:
                raise NotFound("No account or organisation has this name")
            return self._page(session, Query(text="", page=page, page_size=limit, sort=sort, starred_by=person), actor)

    def activity(self, actor: Actor | None, name: str, limit: int, offset: int) -> NamespaceActivity:
        """The tag history of a person, or of an organisation's namespace, the newest first. Raises as `shown` does."""
        with self._database.reading() as session:
            namespace = self._namespace(session, actor, name)
            person = namespace.user_id
            whose = tag_history.in_namespace(name) if person is None else tag_history.by_person(person)
            moves = tag_history.latest(session, whose, self._access_control.visible(actor), limit, offset)
            shared = holdings.shared_by_name(session, [(move.repository, move.image_id) for move in moves])
            return NamespaceActivity(moves, shared)

    def _page(self, session: Session, query: Query, actor: Actor | None) -> tuple[list[Hit], int]:
        found = finder.search(session, query, self._access_control, actor)
        return found.hits, found.total

    def _namespace(self, session: Session, actor: Actor | None, name: str) -> Namespace:
        if actor is None and self._access_control.login_only:
            raise Unauthenticated("Requires authorization")
        found = session.get(Namespace, name) if validators.may_be_name(name) else None
        if found is None or not self._is_told(session, actor, found):
            raise NotFound("No account or organisation has this name")
        return found

    def _is_told(self, session: Session, actor: Actor | None, namespace: Namespace) -> bool:
        if actor is not None or self._tells_names or namespace.name == LIBRARY:
            return True
        theirs = select(Repository.id).where(Repository.namespace == namespace.name, Repository.is_tagged)
        return session.scalar(theirs.where(self._access_control.visible(None)).limit(1)) is not None

    def _shown(self, session: Session, actor: Actor | None, namespace: Namespace) -> PublicProfile:
        manages = self._access_control.administers(session, actor, namespace.name)
        if namespace.user_id is not None:
            return _person(session, actor, session.get_one(User, namespace.user_id))
        if namespace.organisation_id is not None:
            found = session.get_one(Organisation, namespace.organisation_id)
            return _organisation(session, actor, found, may_manage=manages)
        return PublicProfile(kind="library", name=namespace.name, may_manage=manages)


def _person(session: Session, actor: Actor | None, user: User) -> PublicProfile:
    is_self = actor is not None and actor.id == user.id
    if not user.is_active:
        return PublicProfile(kind="person", name=user.name, is_active=False)
    return PublicProfile(
        kind="person",
        name=user.name,
        full_name=user.full_name,
        about=user.about,
        location=user.location,
        company=user.company,
        website=user.website,
        since=user.created_at,
        standing="self" if is_self else "",
        may_manage=is_self,
        organisations=tuple(_memberships(session, actor, user)),
    )


def _memberships(session: Session, actor: Actor | None, user: User) -> list[Membership]:
    """Memberships are visible to other members and to administrators, not to their access tokens."""
    if actor is None or actor.limits is not None:
        return []
    if actor.id == user.id or is_administrator(actor):
        return directory.memberships(session, user.id)
    return directory.shared(session, user.id, actor.id)


def _organisation(session: Session, actor: Actor | None, found: Organisation, *, may_manage: bool) -> PublicProfile:
    member = None
    if actor is not None and actor.limits is None:
        member = organisations.membership(session, found.id, actor.id)
    return PublicProfile(
        kind="organisation",
        name=found.name,
        full_name=found.full_name,
        about=found.about,
        location="",
        company="",
        website=found.website,
        since=found.created_at,
        standing="" if member is None else "owner" if member.is_owner else "member",
        may_manage=may_manage,
    )
