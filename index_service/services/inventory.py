"""What there is, for the operator's commands that read: accounts, organisations, repositories, tags, tokens, jobs and
registries, each a list in the order of names.

Long lists are read a page at a time, so that a command needs as much memory for a million repositories as for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from common.errors import NotFound
from common.names import RepositoryName
from index_service.accounts import authentication, email_addresses
from index_service.accounts.models import AccessToken, Member, Organisation, User
from index_service.database import Database
from index_service.images.models import Job
from index_service.repositories import catalogue, repository_stats
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.models import Repository, TagRecord

PAGE = 1000

Row = TypeVar("Row")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    name: str
    is_active: bool
    is_admin: bool
    repositories: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDetails:
    """One account; an address is confirmed or not."""

    name: str
    full_name: str
    is_active: bool
    is_admin: bool
    emails: dict[str, bool]
    organisations: list[str]
    repositories: int
    access_tokens: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationRow:
    name: str
    members: int
    owners: list[str]
    repositories: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRow:
    """`bytes` are those of its layers, as far as they are known."""

    name: str
    is_private: bool
    tags: int
    bytes: int
    pulls: int
    stars: int
    endpoint: str
    created_at: datetime
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class TagRow:
    name: str
    image: str
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """An access token, which opens the repositories that match its pattern."""

    id: int
    account: str
    name: str
    access: str
    pattern: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job at a registry; `failure` says why it did not work the last time."""

    kind: str
    repository: str
    attempts: int
    asked_at: datetime
    due_at: datetime
    failure: str


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """A registry; one that is not `is_configured` has repositories from before."""

    endpoint: str
    is_configured: bool
    repositories: int


class Inventory:
    """Lists and shows; writes nothing."""

    def __init__(self, database: Database, endpoints: Endpoints) -> None:
        self._database = database
        self._endpoints = endpoints

    def accounts(self) -> Iterator[AccountRow]:
        def page(session: Session, last: str) -> list[AccountRow]:
            users = session.scalars(select(User).where(User.name > last).order_by(User.name).limit(PAGE)).all()
            counts = _repositories(session, [user.name for user in users])
            return [
                AccountRow(
                    name=user.name,
                    is_active=user.is_active,
                    is_admin=user.is_admin,
                    repositories=counts.get(user.name, 0),
                    created_at=user.created_at,
                )
                for user in users
            ]

        return self._paged(page, lambda row: row.name, "")

    def account(self, name: str) -> AccountDetails:
        """Raises NotFound."""
        with self._database.reading() as session:
            user = authentication.require(session, name)
            names = select(Organisation.name).join(Member).where(Member.user_id == user.id).order_by(Organisation.name)
            tokens = select(func.count()).where(AccessToken.user_id == user.id)
            addresses = email_addresses.listed(session, user.id)
            return AccountDetails(
                name=user.name,
                full_name=user.full_name,
                is_active=user.is_active,
                is_admin=user.is_admin,
                emails={email.address: email.confirmed_at is not None for email in addresses},
                organisations=list(session.scalars(names)),
                repositories=_repositories(session, [user.name]).get(user.name, 0),
                access_tokens=session.scalar(tokens) or 0,
                created_at=user.created_at,
            )

    def organisations(self) -> Iterator[OrganisationRow]:
        def page(session: Session, last: str) -> list[OrganisationRow]:
            wanted = select(Organisation).where(Organisation.name > last).order_by(Organisation.name).limit(PAGE)
            return [_organisation(session, found) for found in session.scalars(wanted).all()]

        return self._paged(page, lambda row: row.name, "")

    def organisation(self, name: str) -> OrganisationRow:
        """Raises NotFound."""
        with self._database.reading() as session:
            found = session.scalar(select(Organisation).where(Organisation.name == name))
            if found is None:
                raise NotFound(f"no organisation is named {name}")
            return _organisation(session, found)

    def repositories(self, namespace: str | None = None) -> Iterator[RepositoryRow]:
        """All of them, or those of a namespace."""
        key = tuple_(Repository.namespace, Repository.name)

        def page(session: Session, last: tuple[str, str]) -> list[RepositoryRow]:
            wanted = select(Repository).where(key > last).order_by(Repository.namespace, Repository.name).limit(PAGE)
            if namespace is not None:
                wanted = wanted.where(Repository.namespace == namespace)
            return _repository_rows(session, session.scalars(wanted).all())

        return self._paged(page, _key_of, ("", ""))

    def repository(self, name: RepositoryName) -> RepositoryRow:
        """Raises NotFound."""
        with self._database.reading() as session:
            return _repository_rows(session, [_required(session, name)])[0]

    def tags(self, name: RepositoryName) -> list[TagRow]:
        """Raises NotFound."""
        with self._database.reading() as session:
            of = TagRecord.repository_id == _required(session, name).id
            wanted = select(TagRecord).where(of, TagRecord.image_id.is_not(None)).order_by(TagRecord.name)
            return [TagRow(tag.name, str(tag.image_id), tag.updated_at) for tag in session.scalars(wanted)]

    def tokens(self, account: str | None = None) -> Iterator[TokenRow]:
        """Access tokens of all accounts, or of one. Raises NotFound."""
        owner = None
        if account is not None:
            with self._database.reading() as session:
                owner = authentication.require(session, account).id

        def page(session: Session, last: int) -> list[TokenRow]:
            wanted = select(AccessToken, User.name).join(User).where(AccessToken.id > last)
            if owner is not None:
                wanted = wanted.where(AccessToken.user_id == owner)
            rows = session.execute(wanted.order_by(AccessToken.id).limit(PAGE))
            return [_token(token, name) for token, name in rows]

        return self._paged(page, lambda row: row.id, 0)

    def jobs(self) -> Iterator[JobRow]:
        """The oldest first."""
        with self._database.reading() as session:
            wanted = select(Job, Repository).join(Repository, Repository.id == Job.repository_id)
            rows = session.execute(wanted.order_by(Job.asked_at, Job.id)).all()
        for job, repository in rows:
            yield JobRow(
                kind=job.kind,
                repository=str(repository.full_name),
                attempts=job.attempts,
                asked_at=job.asked_at,
                due_at=job.due_at,
                failure=job.failure,
            )

    def registries(self) -> list[RegistryRow]:
        """Configured registries first, then those that only old repositories are on."""
        with self._database.reading() as session:
            counts = repository_stats.by_endpoint(session)
        configured = self._endpoints.configured
        endpoints = [*configured, *sorted(set(counts) - set(configured))]
        return [RegistryRow(each, each in configured, counts.get(each, 0)) for each in endpoints]

    def _paged(self, page: Callable[[Session, Key], list[Row]], key: Callable[[Row], Key], first: Key) -> Iterator[Row]:
        last = first
        while True:
            with self._database.reading() as session:
                rows = page(session, last)
            yield from rows
            if len(rows) < PAGE:
                return
            last = key(rows[-1])


def _organisation(session: Session, found: Organisation) -> OrganisationRow:
    members = session.execute(
        select(User.name, Member.is_owner).join(User).where(Member.organisation_id == found.id).order_by(User.name)
    ).all()
    return OrganisationRow(
        name=found.name,
        members=len(members),
        owners=[name for name, is_owner in members if is_owner],
        repositories=_repositories(session, [found.name]).get(found.name, 0),
        created_at=found.created_at,
    )


def _repositories(session: Session, namespaces: Sequence[str]) -> dict[str, int]:
    """How many repositories each namespace has that has any."""
    counted = select(Repository.namespace, func.count()).where(Repository.namespace.in_(namespaces))
    rows = session.execute(counted.group_by(Repository.namespace))
    return {row[0]: row[1] for row in rows}


def _repository_rows(session: Session, found: Sequence[Repository]) -> list[RepositoryRow]:
    ids = [repository.id for repository in found]
    counted = select(TagRecord.repository_id, func.count())
    counted = counted.where(TagRecord.repository_id.in_(ids), TagRecord.image_id.is_not(None))
    tags = {row[0]: row[1] for row in session.execute(counted.group_by(TagRecord.repository_id))}
    return [
        RepositoryRow(
            name=str(repository.full_name),
            is_private=repository.is_private,
            tags=tags.get(repository.id, 0),
            bytes=repository.layer_bytes,
            pulls=repository.pull_count,
            stars=repository.star_count,
            endpoint=repository.endpoint,
            created_at=repository.created_at,
            pushed_at=repository.pushed_at,
        )
        for repository in found
    ]


def _key_of(row: RepositoryRow) -> tuple[str, str]:
    namespace, _, name = row.name.partition("/")
    return namespace, name


def _required(session: Session, name: RepositoryName) -> Repository:
    found = catalogue.find(session, name)
    if found is None:
        raise NotFound(f"no repository is named {name}")
    return found


def _token(token: AccessToken, account: str) -> TokenRow:
    return TokenRow(
        id=token.id,
        account=account,
        name=token.name,
        access="write" if token.can_write else "read",
        pattern=token.pattern,
        created_at=token.created_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
    )
