"""Quotas: how many bytes and how many repositories a namespace may have.

A namespace has a quota of its own, or the default of the settings, which does not hold for `library`. Bytes are those
of `storage_usage`, so they count once a registry has told of a push. They are compared when a push begins: one that
began below the quota may end above it.

Every function and method takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TypedDict

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from common.errors import Forbidden, Invalid, NotFound
from common.names import LIBRARY, RepositoryName
from index_service import sizes
from index_service.accounts.models import Namespace
from index_service.audit.log import AuditContext, Change
from index_service.db import PREPARED_STATEMENT
from index_service.images import storage_usage
from index_service.repositories.models import Repository

MAX_REPOSITORIES = 10**9

_OF_NAMESPACE = select(Namespace.name, Namespace.quota_bytes, Namespace.quota_repositories)
_FIND = _OF_NAMESPACE.where(Namespace.name == bindparam("namespace")).execution_options(**PREPARED_STATEMENT)


class QuotaReached(Forbidden):
    """The namespace has all that it may have; `used` and `allowed` are bytes or, if `is_count`, repositories."""

    field = "target"

    def __init__(self, namespace: str, used: int, allowed: int, *, is_count: bool) -> None:
        self.namespace, self.used, self.allowed, self.is_count = namespace, used, allowed, is_count
        amounts = (
            f"{used} of {allowed} repositories" if is_count else f"{sizes.rounded(used)} of {sizes.rounded(allowed)}"
        )
        super().__init__(
            f"The quota of {namespace} is used up: {amounts}; delete repositories, or ask an administrator for more"
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a namespace may have; 0 is no limit, and of a namespace's own None is the default."""

    bytes: int | None = None
    repositories: int | None = None


class QuotaChange(TypedDict, total=False):
    """A new quota of a namespace; what is left out stays as it is."""

    bytes: int | None
    repositories: int | None


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """What a namespace has, what it may have, and how much of that is its own setting."""

    namespace: str
    bytes: int
    repositories: int
    allowed: Quota
    own: Quota

    @property
    def is_limited(self) -> bool:
        return bool(self.allowed.bytes or self.allowed.repositories)


class Quotas:
    """Finds quotas and applies them; `default` is what the settings give."""

    def __init__(self, default: Quota) -> None:
        self._default = default

    def allowed(self, session: Session, namespaces: Collection[str]) -> dict[str, Quota]:
        """What each of these namespaces may have."""
        rows = session.execute(_OF_NAMESPACE.where(Namespace.name.in_(namespaces)))
        return {name: self._with_default(name, Quota(*own)) for name, *own in rows}

    def usage(self, session: Session, namespace: str) -> QuotaUsage:
        """Raises NotFound for an unknown namespace."""
        own = _own(session, namespace)
        used, count = storage_usage.kept_by(session, namespace), _count(session, namespace)
        return QuotaUsage(namespace, used, count, self._with_default(namespace, own), own)

    def shown(self, session: Session, namespace: str) -> QuotaUsage | None:
        """The same to those who manage the namespace; None without a limit, and nothing is counted then."""
        allowed = self._with_default(namespace, _own(session, namespace))
        return self.usage(session, namespace) if allowed.bytes or allowed.repositories else None

    def require_room(self, session: Session, name: RepositoryName) -> None:
        """Raises QuotaReached unless the namespace may have one more repository, of this name.

        The namespace is locked until the transaction ends: of two that would be the last one comes second.
        """
        allowed = self._with_default(name.namespace, _own(session, name.namespace))
        if allowed.repositories:
            session.execute(
                select(Namespace.name).where(Namespace.name == name.namespace).with_for_update(key_share=True)
            )
            others = _count(session, name.namespace, without=name.name)
            if others >= allowed.repositories:
                raise QuotaReached(name.namespace, others, allowed.repositories, is_count=True)

    def require_bytes(self, session: Session, namespace: str) -> None:
        """Raises QuotaReached if the namespace has as many bytes as it may have, or more."""
        allowed = self._with_default(namespace, _own(session, namespace)).bytes
        if allowed:
            used = storage_usage.kept_by(session, namespace)
            if used >= allowed:
                raise QuotaReached(namespace, used, allowed, is_count=False)

    def _with_default(self, namespace: str, own: Quota) -> Quota:
        default = Quota(0, 0) if namespace == LIBRARY else self._default
        return Quota(
            default.bytes if own.bytes is None else own.bytes,
            default.repositories if own.repositories is None else own.repositories,
        )


def set_quota(session: Session, context: AuditContext, namespace: str, change: QuotaChange) -> None:
    """Give a namespace a quota of its own, or the default again. Raises NotFound or Invalid."""
    found = session.get(Namespace, namespace, with_for_update={"key_share": True})
    if found is None:
        raise NotFound("No account or organisation has this name")
    before = Quota(found.quota_bytes, found.quota_repositories)
    quota = replace(before, **change)
    for number, most in ((quota.bytes, sizes.MAX_SIZE), (quota.repositories, MAX_REPOSITORIES)):
        if number is not None and not 0 <= number <= most:
            raise Invalid("Invalid number: use a whole number, and 0 for no limit")
    if quota != before:
        found.quota_bytes, found.quota_repositories = quota.bytes, quota.repositories
        values = {"bytes": quota.bytes, "repositories": quota.repositories}
        details = {key: "default" if value is None else value for key, value in values.items()}
        context.record(session, Change.QUOTA_CHANGED, namespace, **details)


def read_bytes(text: str) -> int | None:
    """A number of bytes such as 500 MB or 10 GB; an empty text is the default. Raises Invalid."""
    try:
        return sizes.read(text) if text else None
    except ValueError as error:
        raise Invalid("Invalid size: use a number and a unit, such as 500 MB or 10 GB, and 0 for no limit") from error


def read_count(text: str) -> int | None:
    """A number of repositories; an empty text is the default. Raises Invalid."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid("Invalid number: use a whole number, and 0 for no limit")
    return int(text)


def _own(session: Session, namespace: str) -> Quota:
    row = session.execute(_FIND, {"namespace": namespace}).first()
    if row is None:
        raise NotFound("No account or organisation has this name")
    return Quota(row.quota_bytes, row.quota_repositories)


def _count(session: Session, namespace: str, without: str = "") -> int:
    of_it = (Repository.namespace == namespace, Repository.name != without)
    return session.scalar(select(func.count()).select_from(Repository).where(*of_it)) or 0
