"""The tables of repositories: listed and held images, tags and their history, roles, pulls."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from common.names import RepositoryName
from index_service.db import Base, Serial, UTCDateTime


class Repository(Base):
    """A repository; `endpoint` is the registry it was first pushed to and lives on, `store` the identity of the store
    that has its images, None as long as its registry has not told it.

    Some facts are kept here that could be counted, because lists are sorted by them: `is_tagged` (one tag or more
    exists, without which no list shows it), `star_count`, `pull_count`, and `layer_bytes`, the bytes of all its
    images' layers as far as they are known.
    """

    __tablename__ = "repositories"
    __table_args__ = (
        UniqueConstraint("namespace", "name"),
        # For lists of public repositories, one index per sort order.
        Index("ix_repositories_shown_pushed", "is_private", "is_tagged", "pushed_at", "id"),
        Index("ix_repositories_shown_stars", "is_private", "is_tagged", "star_count", "id"),
        Index("ix_repositories_shown_pulls", "is_private", "is_tagged", "pull_count", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(ForeignKey("namespaces.name", onupdate="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    description: Mapped[str] = mapped_column(String(255), default="")
    # Long, and of no use to clients: loaded on demand.
    readme: Mapped[str] = mapped_column(Text, default="", deferred=True, deferred_group="texts")
    readme_html: Mapped[str] = mapped_column(Text, default="", server_default="", deferred=True, deferred_group="texts")
    rendered_by: Mapped[str] = mapped_column(String(32), default="", server_default="")
    source_url: Mapped[str] = mapped_column(String(255), default="", server_default="")
    # What the search document was written with; processes of an older version create repositories with 0.
    search_version: Mapped[int] = mapped_column(default=0, server_default="0")
    is_private: Mapped[bool] = mapped_column(default=False)
    is_tagged: Mapped[bool] = mapped_column(default=False)
    star_count: Mapped[int] = mapped_column(default=0)
    pull_count: Mapped[int] = mapped_column(Serial, default=0)
    layer_bytes: Mapped[int] = mapped_column(Serial, default=0)
    endpoint: Mapped[str] = mapped_column(String(255))
    store: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
    pushed_at: Mapped[datetime] = mapped_column(UTCDateTime)

    @property
    def full_name(self) -> RepositoryName:
        return RepositoryName(self.namespace, self.name)


class ListedImage(Base):
    """An image that a repository lists, with the checksum its pusher gave for it.

    `is_announced`: so far only a push that has begun names it. No reader sees it, and it gives no right.
    """

    __tablename__ = "listed_images"
    __table_args__ = (UniqueConstraint("repository_id", "image_id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"))
    image_id: Mapped[str] = mapped_column(String(64), index=True)
    checksum: Mapped[str | None] = mapped_column(String(255))
    is_announced: Mapped[bool] = mapped_column(default=False, server_default=false())


class HeldImage(Base):
    """An image that a repository holds, as its registry said: one of its tags reaches it.

    `is_apart`: the repository's content under this id is not the one that the index describes, either because its
    registry keeps content of the repository's own, or, `is_foreign`, because its whole store has another. `apart_size`
    are the bytes of that layer, None as long as the registry has not told them.
    """

    __tablename__ = "held_images"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    is_apart: Mapped[bool] = mapped_column(default=False)
    is_foreign: Mapped[bool] = mapped_column(default=False, server_default=false())
    apart_size: Mapped[int | None] = mapped_column(BigInteger)
    held_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TagRecord(Base):
    """A tag: `image_id` is its image, None while a push has only announced it as `announced_id`."""

    __tablename__ = "tags"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    image_id: Mapped[str | None] = mapped_column(String(64), index=True)
    announced_id: Mapped[str | None] = mapped_column(String(64))
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TagHistoryRecord(Base):
    """An event of the tag history: a tag set to `image_id`, or deleted if that is None; `previous_id` is the image
    before.

    `client` is the daemon's User-Agent, empty if it is unknown or the site made the change.
    """

    __tablename__ = "tag_moves"
    __table_args__ = (Index("ix_tag_moves_repository_id_tag_at", "repository_id", "tag", "at"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"))
    tag: Mapped[str] = mapped_column(String(255))
    image_id: Mapped[str | None] = mapped_column(String(64))
    previous_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    client: Mapped[str] = mapped_column(String(255), default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class RoleRecord(Base):
    """What a person or a team may do with a whole namespace or with one repository: `read`, `write` or `admin`."""

    __tablename__ = "roles"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (team_id IS NULL)", name="one_subject"),
        CheckConstraint("(namespace IS NULL) <> (repository_id IS NULL)", name="one_object"),
        UniqueConstraint("user_id", "namespace"),
        UniqueConstraint("user_id", "repository_id"),
        UniqueConstraint("team_id", "namespace"),
        UniqueConstraint("team_id", "repository_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"))
    namespace: Mapped[str | None] = mapped_column(
        ForeignKey("namespaces.name", ondelete="CASCADE", onupdate="CASCADE"), index=True
    )
    repository_id: Mapped[int | None] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(5))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class PullCount(Base):
    """How often a repository was pulled on one day, in UTC."""

    __tablename__ = "pulls"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True, index=True)
    count: Mapped[int] = mapped_column(default=0)
