"""Repository settings: texts, visibility and name.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from common.errors import Conflict
from common.names import RepositoryName, Tag
from index_service import markdown
from index_service.accounts import validators
from index_service.accounts.models import Namespace
from index_service.audit.log import AuditContext, Change
from index_service.repositories import catalogue, role_assignments
from index_service.repositories.models import Repository


class RenameRefused(Conflict):
    """The repository cannot take the new name."""

    field = "target"


class UnmovableTags(RenameRefused):
    """Tags of an old store that a registry cannot move to another name."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        self.tags = ", ".join(tags[:_NAMED]) + (" …" if len(tags) > _NAMED else "")
        super().__init__(f"These tags cannot be moved to another name, delete them first: {self.tags}")


MAX_DESCRIPTION = 255
MAX_README = 100_000

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What a repository says about itself, as somebody entered it; None stays as it is."""

    description: object = None
    readme: object = None
    source_url: object = None
    """Where the source of the image is, which relative links of the README lead to."""


def set_texts(repository: Repository, texts: Texts, now: datetime) -> None:
    """Change the texts. Raises Invalid, and then changes none."""
    checked = (
        validators.validate_text(_or(texts.description, repository.description), MAX_DESCRIPTION),
        validators.validate_text(_or(texts.readme, repository.readme), MAX_README, lines=True),
        validators.validate_website(_or(texts.source_url, repository.source_url)),
    )
    repository.description, repository.readme, repository.source_url = checked
    repository.readme_html = markdown.readme(repository.readme, repository.source_url)
    repository.rendered_by = markdown.readme.version
    repository.updated_at = now


def _or(text: object, before: str) -> object:
    return before if text is None else text


def set_private(session: Session, context: AuditContext, repository: Repository, *, is_private: bool) -> None:
    """Make the repository private (visible to those with a role) or public."""
    if repository.is_private != is_private:
        repository.is_private = is_private
        change = Change.REPOSITORY_HIDDEN if is_private else Change.REPOSITORY_PUBLISHED
        context.record(session, change, str(repository.full_name))


def rename(session: Session, context: AuditContext, repository: Repository, target: RepositoryName) -> None:
    """Rename the repository, maybe to another namespace, where the roles of teams do not follow it.

    Raises Invalid, or NameRefused, as TagsRefused where tags would be lost. Where two take one name at once, the
    second's transaction ends in SQLAlchemy's IntegrityError.
    """
    old = repository.full_name
    target.require_creatable()
    if target == old:
        raise RenameRefused("The repository already has this name")
    if catalogue.find(session, target) is not None:
        raise RenameRefused("This name is taken")
    refused = [tag for tag in catalogue.tags(session, repository.id) if not tag.is_creatable]
    if refused:
        raise UnmovableTags(sorted(refused))
    if target.namespace != old.namespace:
        role_assignments.revoke_from_teams(session, repository)
    repository.namespace, repository.name = target.namespace, target.name
    repository.updated_at = context.at
    context.record(session, Change.REPOSITORY_TRANSFERRED, str(target), **{"from": str(old)})


def set_default_visibility(session: Session, context: AuditContext, namespace: str, *, is_private: bool) -> None:
    """Set the visibility of repositories that are created in the namespace from now on."""
    found = session.get_one(Namespace, namespace)
    if found.default_private != is_private:
        found.default_private = is_private
        context.record(session, Change.NAMESPACE_CHANGED, namespace, default="private" if is_private else "public")
