"""Repositories, the images they list and their tags, as they are stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from common.names import RepositoryName
from index_service.db import Base, Moment, Serial


class Repository(Base):
    """A repository; `endpoint` is the registry it was first pushed to and lives on."""

    __tablename__ = "repositories"
    __table_args__ = (UniqueConstraint("namespace", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    description: Mapped[str] = mapped_column(String(255), default="")
    is_private: Mapped[bool] = mapped_column(default=False)
    endpoint: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)

    @property
    def full_name(self) -> RepositoryName:
        return RepositoryName(self.namespace, self.name)


class ListedImage(Base):
    """An image that a repository lists, with the checksum some client gave for it."""

    __tablename__ = "listed_images"
    __table_args__ = (UniqueConstraint("repository_id", "image_id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"))
    image_id: Mapped[str] = mapped_column(String(64), index=True)
    checksum: Mapped[str | None] = mapped_column(String(255))


class TagRecord(Base):
    """A tag: `image_id` is what it points at, None while a push has only announced it as `announced_id`."""

    __tablename__ = "tags"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    image_id: Mapped[str | None] = mapped_column(String(64))
    announced_id: Mapped[str | None] = mapped_column(String(64))
    updated_at: Mapped[datetime] = mapped_column(Moment)
