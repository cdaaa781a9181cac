"""The operator's commands of `wharfinger-index`: each method is one command, run within short transactions or refused.

An operator has no account: the audit log names no actor, and the policy does not apply.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from common.errors import NotFound
from common.names import RepositoryName
from index_service.accounts import (
    access,
    account_status,
    authentication,
    directory,
    held_access,
    organisations,
    password_changes,
)
from index_service.accounts.access import Ended, Selection
from index_service.accounts.held_access import HeldAccess
from index_service.accounts.organisations import OrganisationProfile
from index_service.audit.log import AuditContext
from index_service.database import Database, conflict_on_duplicate
from index_service.db import Clock
from index_service.images import quotas
from index_service.images.quotas import QuotaChange, Quotas, QuotaUsage
from index_service.repositories import catalogue, repository_settings, shared_images
from index_service.repositories.models import Repository
from index_service.repositories.policy import RepositoryNotFound
from index_service.repositories.shared_images import SharedImage
from index_service.services import former_names
from index_service.services.authentication import Authentication
from index_service.services.registration import Registration
from index_service.tokens import protocol_tokens

TAKEN = "This name is taken"


class Operations:
    """The commands that change the database; those that read registries are `Reindex`'s."""

    def __init__(
        self,
        database: Database,
        authentication: Authentication,
        registration: Registration,
        quotas: Quotas,
        clock: Clock,
    ) -> None:
        self._database = database
        self._authentication = authentication
        self._registration = registration
        self._quotas = quotas
        self._clock = clock

    def create_user(self, name: str, password: str, email: str | None, *, is_admin: bool) -> None:
        """Raises Invalid, Conflict, or Forbidden if sign-up is closed."""
        self._registration.create(name, password, email, is_admin=is_admin)

    def set_password(self, name: str, password: str, *, keeps_access_tokens: bool = False) -> None:
        """Set a password and end all access that came with the old one. Raises NotFound or Invalid."""
        with self._database.reading() as session:
            user = authentication.require(session, name)
        hashed = self._authentication.hashed_for(password, user)
        with self._database.writing() as session:
            password_changes.change(session, self._context(), user, hashed, keeps_access_tokens=keeps_access_tokens)

    def set_active(self, name: str, *, is_active: bool) -> None:
        """Open or close an account. Raises NotFound, LastAdministrator or SoleOwner."""
        with self._database.writing() as session:
            user = account_status.lock(session, authentication.require(session, name).id)
            account_status.set_active(session, self._context(), user, is_active=is_active)

    def set_admin(self, name: str, *, is_admin: bool) -> None:
        """Raises NotFound or LastAdministrator."""
        with self._database.writing() as session:
            user = account_status.lock(session, authentication.require(session, name).id)
            account_status.set_admin(session, self._context(), user, is_admin=is_admin)

    def revoke_tokens(self, name: str) -> Ended:
        """End an account's pull and push tokens and its access tokens; returns how many. Raises NotFound."""
        with self._database.writing() as session:
            return access.revoke_tokens(session, self._context(), authentication.require(session, name))

    def access(self, name: str) -> HeldAccess:
        """The sessions and tokens of an account. Raises NotFound."""
        with self._database.reading() as session:
            return held_access.find(session, authentication.require(session, name).id, self._clock())

    def end_access(self, name: str, selection: Selection) -> Ended:
        """End sessions or tokens of an account; returns how many. Raises NotFound."""
        with self._database.writing() as session:
            user = authentication.require(session, name)
            return access.end_selected(session, self._context(), user, selection)

    def clean(self) -> int:
        """Delete all expired tokens, some at a time; returns how many."""
        total = 0
        while swept := self._sweep():
            total += swept
        return total

    def shared_images(self) -> Iterator[SharedImage]:
        """The images that repositories of several namespaces hold, in the order of their ids."""
        last = ""
        while True:
            with self._database.reading() as session:
                found = shared_images.after(session, last)
            if not found:
                return
            yield from found
            last = found[-1].image_id

    def create_organisation(self, name: str, owner: str) -> None:
        """Raises Invalid, Conflict, or NotFound for an unknown owner."""
        with conflict_on_duplicate(TAKEN), self._database.writing() as session:
            user = directory.find_active(session, owner)
            organisations.create(session, self._context(), name, OrganisationProfile(), user.id)

    def add_owner(self, name: str, person: str) -> None:
        """Make a person an owner of an organisation, and a member if necessary. Raises NotFound."""
        with self._database.writing() as session:
            organisation, user = organisations.lock(session, name), directory.find_active(session, person)
            context = self._context()
            if organisations.membership(session, organisation.id, user.id) is None:
                organisations.add_member(session, context, organisation, user)
                session.flush()
            organisations.set_owner(session, context, organisation, user, is_owner=True)

    def set_private(self, name: RepositoryName, *, is_private: bool) -> None:
        """Raises RepositoryNotFound."""
        with self._database.writing() as session:
            repository_settings.set_private(session, self._context(), _locked(session, name), is_private=is_private)

    def rename(self, name: RepositoryName, target: RepositoryName) -> None:
        """Raises RepositoryNotFound, Invalid or Conflict, or NotFound for an unknown namespace."""
        with conflict_on_duplicate(TAKEN), self._database.writing() as session:
            repository = _locked(session, name)
            if not catalogue.namespace_exists(session, target.namespace):
                raise NotFound(f"no account or organisation is named {target.namespace}")
            former_names.rename(session, self._context(), repository, target)

    def move_endpoint(self, old: str, new: str) -> int:
        """Move repositories to a registry's new endpoint; returns how many."""
        with self._database.writing() as session:
            return catalogue.move_endpoint(session, self._context(), old, new)

    def quota(self, namespace: str) -> QuotaUsage:
        """Raises NotFound."""
        with self._database.reading() as session:
            return self._quotas.usage(session, namespace)

    def set_quota(self, namespace: str, change: QuotaChange) -> None:
        """Give a namespace a quota of its own, or the default. Raises NotFound or Invalid."""
        with self._database.writing() as session:
            quotas.set_quota(session, self._context(), namespace, change)

    def _sweep(self) -> int:
        with self._database.writing() as session:
            return protocol_tokens.delete_expired(session, self._clock())

    def _context(self) -> AuditContext:
        return AuditContext(None, "", self._clock())


def _locked(session: Session, name: RepositoryName) -> Repository:
    repository = catalogue.lock(session, name)
    if repository is None:
        raise RepositoryNotFound
    return repository
