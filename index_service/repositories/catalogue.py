"""Repositories in SQL: finding and allocating names, recording images and tags.

Every function takes the session of the caller's transaction. Writers lock the repository's row, so that of two pushes
to one repository one waits instead of both failing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from common.errors import Conflict
from common.names import ImageId, RepositoryName, Tag
from index_service.accounts.models import Namespace
from index_service.audit.log import AuditContext, Change, Named
from index_service.db import PREPARED_STATEMENT, insert_for, insert_missing, upsert
from index_service.repositories import holdings
from index_service.repositories.models import ListedImage, Repository, TagHistoryRecord, TagRecord


@dataclass(frozen=True, slots=True)
class Pusher:
    """The person who changes tags, and the daemon's User-Agent, empty if it is unknown."""

    user_id: int | None
    client: str = ""


IS_NAMED = and_(Repository.namespace == bindparam("namespace"), Repository.name == bindparam("name"))
"""The condition on a repository that `asked_by_name` gives the values of."""

_FIND = select(Repository).where(IS_NAMED).execution_options(**PREPARED_STATEMENT)
_HOLD = select(Repository).where(IS_NAMED).with_for_update()

_OF_REPOSITORY = TagRecord.repository_id == bindparam("repository")
_TAGS = select(TagRecord.name, TagRecord.image_id).where(_OF_REPOSITORY, TagRecord.image_id.is_not(None))
_TAGS = _TAGS.execution_options(**PREPARED_STATEMENT)
_MEANT = func.coalesce(TagRecord.image_id, TagRecord.announced_id)
_ANNOUNCED = select(TagRecord.name, _MEANT).where(_OF_REPOSITORY, _MEANT.is_not(None))


def name_parameters(name: RepositoryName) -> dict[str, str]:
    return {"namespace": name.namespace, "name": name.name}


def find(session: Session, name: RepositoryName) -> Repository | None:
    return session.scalar(_FIND, name_parameters(name))


def names_after(
    session: Session, visible: ColumnElement[bool], limit: int, last: RepositoryName | None
) -> list[RepositoryName]:
    """A page of the names of repositories with a tag that are `visible`: those after `last` by namespace and name."""
    ordered = tuple_(Repository.namespace, Repository.name)
    wanted = select(Repository.namespace, Repository.name).where(Repository.is_tagged.is_(True), visible)
    if last is not None:
        wanted = wanted.where(ordered > (last.namespace, last.name))
    rows = session.execute(wanted.order_by(Repository.namespace, Repository.name).limit(limit))
    return [RepositoryName(*row) for row in rows]


def lock(session: Session, name: RepositoryName) -> Repository | None:
    """The repository, its row locked until the transaction ends."""
    return session.scalar(_HOLD, name_parameters(name))


def names(session: Session) -> list[RepositoryName]:
    """All of them, by name."""
    rows = session.execute(
        select(Repository.namespace, Repository.name).order_by(Repository.namespace, Repository.name)
    )
    return [RepositoryName(namespace, name) for namespace, name in rows]


def namespace_exists(session: Session, namespace: str) -> bool:
    """Whether the namespace has an owner, or is `library`."""
    return session.get(Namespace, namespace) is not None


def allocate(
    session: Session, context: AuditContext, name: RepositoryName, creator: Named, endpoint: str, how: str
) -> None:
    """Allocate the name for its creator unless it exists; `how` is for the audit log: push or take-over."""
    default_private = select(Namespace.default_private).where(Namespace.name == name.namespace)
    row = {
        "namespace": name.namespace,
        "name": name.name,
        "creator_id": creator.id,
        "is_private": bool(session.scalar(default_private)),
        "endpoint": endpoint,
        "created_at": context.at,
        "updated_at": context.at,
        "pushed_at": context.at,
    }
    made = insert_for(session, Repository).values(row).on_conflict_do_nothing().returning(Repository.id)
    if session.scalar(made) is not None:
        details = {} if context.actor is creator else {"person": creator.name}
        context.record(session, Change.REPOSITORY_MADE, str(name), how=how, **details)


def announce_images(
    session: Session, repository: Repository, images: Mapping[ImageId, str | None], limit: int | None, now: datetime
) -> None:
    """Announce the images of a push: readers see them once it is concluded, or its tag is set. Raises as
    `record_images` does."""
    _merge(session, repository, images, limit, now, is_announced=True)


def record_images(
    session: Session, repository: Repository, images: Mapping[ImageId, str | None], limit: int | None, now: datetime
) -> None:
    """Merge images into the list: none is ever removed, a checksum replaces an older one (protocol §2.4). There is no
    `limit` for what an old store has.

    Raises Conflict if the list would exceed its limit.
    """
    _merge(session, repository, images, limit, now, is_announced=False)


def _merge(
    session: Session,
    repository: Repository,
    images: Mapping[ImageId, str | None],
    limit: int | None,
    now: datetime,
    *,
    is_announced: bool,
) -> None:
    of_push = {"repository_id": repository.id, "is_announced": is_announced}
    rows = [{**of_push, "image_id": id_, "checksum": sum_} for id_, sum_ in images.items()]
    insert_missing(session, ListedImage, rows)
    if limit is not None:
        _require_room(session, repository, limit)
    known = [row for row in rows if row["checksum"] is not None]
    upsert(session, ListedImage, known, key=("repository_id", "image_id"), changed=("checksum",))
    repository.updated_at = now


def _require_room(session: Session, repository: Repository, limit: int) -> None:
    count = select(func.count()).select_from(ListedImage).where(ListedImage.repository_id == repository.id)
    if (session.scalar(count) or 0) > limit:
        raise Conflict(f"A repository lists no more than {limit} images: push to another, or ask the operator for more")


def tags(session: Session, repository_id: int, *, announced: bool = False) -> dict[Tag, ImageId]:
    """The image of each tag; with `announced` also the tags that a push in progress is going to set."""
    rows = session.execute(_ANNOUNCED if announced else _TAGS, {"repository": repository_id})
    return {Tag(name): ImageId(id_) for name, id_ in rows if id_ is not None}


def image_of(session: Session, repository: Repository, tag: str) -> str | None:
    """The image that a tag points at; None if there is no such tag."""
    of_it = (TagRecord.repository_id == repository.id, TagRecord.name == tag)
    return session.scalar(select(TagRecord.image_id).where(*of_it))


def announce_tags(session: Session, repository: Repository, tags: Mapping[Tag, ImageId], now: datetime) -> None:
    """Announce the tags of a push; they exist once the registry reports them, or once the push is concluded.

    What an earlier push announced and never did is forgotten. Raises as `require_creatable` does.
    """
    _forget_announced(session, repository)
    require_creatable(session, repository, *tags)
    rows = [
        {
            "repository_id": repository.id,
            "name": tag,
            "image_id": None,
            "announced_id": image_id,
            "updated_at": now,
        }
        for tag, image_id in tags.items()
    ]
    upsert(session, TagRecord, rows, key=("repository_id", "name"), changed=("announced_id",))


def require_creatable(session: Session, repository: Repository, *names: Tag) -> None:
    """Raises Invalid for a tag that newer clients refuse, unless the repository has it, as from an old store."""
    refused = [tag for tag in names if not tag.is_creatable]
    known = TagRecord.repository_id == repository.id, TagRecord.image_id.is_not(None)
    existing = (
        set(session.scalars(select(TagRecord.name).where(*known, TagRecord.name.in_(refused)))) if refused else ()
    )
    for tag in refused:
        if tag not in existing:
            tag.require_creatable()


def conclude_push(session: Session, repository: Repository, by: Pusher, now: datetime) -> None:
    """Conclude a push: readers see its images, and its announced tags exist now, even if no registry reported them."""
    holdings.publish(session, repository.id)
    announced = (TagRecord.repository_id == repository.id, TagRecord.announced_id.is_not(None))
    # A push may announce thousands of tags while all writers wait: the number of statements is constant.
    rows = session.execute(select(TagRecord.name, TagRecord.announced_id, TagRecord.image_id).where(*announced)).all()
    if rows:
        now_there = {"image_id": TagRecord.announced_id, "announced_id": None, "updated_at": now}
        session.execute(update(TagRecord).where(*announced).values(now_there))
        repository.is_tagged = True
        repository.updated_at = now
    moves = [_event_row(repository, tag, image, before, by, now) for tag, image, before in rows if image != before]
    if moves:
        # Without the option, rows with and without a NULL become separate statements.
        session.execute(insert(TagHistoryRecord).execution_options(render_nulls=True), moves)
    repository.pushed_at = now


def set_tag(session: Session, repository: Repository, tag: str, image_id: str, by: Pusher, now: datetime) -> None:
    """Set a tag, as a registry reported; one that points at this image already does not change."""
    before = image_of(session, repository, tag)
    row = {
        "repository_id": repository.id,
        "name": tag,
        "image_id": image_id,
        "announced_id": None,
        "updated_at": now,
    }
    changed = ("image_id", "announced_id", "updated_at")
    upsert(session, TagRecord, [row], key=("repository_id", "name"), changed=changed)
    if before != image_id:
        session.add(TagHistoryRecord(**_event_row(repository, tag, image_id, before, by, now)))
    holdings.publish(session, repository.id, ListedImage.image_id == image_id)
    repository.is_tagged = True
    repository.updated_at = repository.pushed_at = now


def delete_tag(session: Session, repository: Repository, tag: str, by: Pusher, now: datetime) -> None:
    """Delete a tag, as a registry reported."""
    before = image_of(session, repository, tag)
    session.execute(delete(TagRecord).where(TagRecord.repository_id == repository.id, TagRecord.name == tag))
    if before is not None:
        session.add(TagHistoryRecord(**_event_row(repository, tag, None, before, by, now)))
    still = exists().where(TagRecord.repository_id == repository.id, TagRecord.image_id.is_not(None))
    repository.is_tagged = bool(session.scalar(select(still)))
    repository.updated_at = now


def delete_repository(session: Session, context: AuditContext, repository: Repository) -> None:
    """Delete a repository with its images and tags."""
    session.execute(delete(Repository).where(Repository.id == repository.id))
    context.record(session, Change.REPOSITORY_DELETED, str(repository.full_name))


def move_endpoint(session: Session, context: AuditContext, old: str, new: str) -> int:
    """Move every repository of one registry to another; returns how many."""
    ids = list(session.scalars(select(Repository.id).where(Repository.endpoint == old)))
    session.execute(update(Repository).where(Repository.endpoint == old).values(endpoint=new))
    context.record(session, Change.ENDPOINT_MOVED, new, **{"from": old}, repositories=len(ids))
    return len(ids)


def _event_row(
    repository: Repository, tag: str, image_id: str | None, before: str | None, by: Pusher, now: datetime
) -> dict[str, Any]:
    """A row of TagMove."""
    return {
        "repository_id": repository.id,
        "tag": tag,
        "image_id": image_id,
        "previous_id": before,
        "user_id": by.user_id,
        "client": by.client,
        "at": now,
    }


def _forget_announced(session: Session, repository: Repository) -> None:
    own = TagRecord.repository_id == repository.id
    session.execute(delete(TagRecord).where(own, TagRecord.image_id.is_(None)))
    session.execute(update(TagRecord).where(own, TagRecord.announced_id.is_not(None)).values(announced_id=None))
