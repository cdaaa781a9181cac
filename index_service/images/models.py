"""The tables of images: metadata as registries described it, what images are by `/v2/`, and the job queue."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from index_service.db import Base, Serial, UTCDateTime
from index_service.leasing import Leased


class ImageRecord(Base):
    """An image's metadata, independent of the repositories that list it. `size` is its own layer's, `total_size` its
    whole ancestry's.

    `depth` counts its ancestors. `config` is the image's JSON as it was pushed; what lists show has columns of its own.
    `store` is the one whose image it is: an id may mean another in others. None where it is not known.
    `created_at` is the date in the JSON, None if it has no valid one; `checksums`, separated by spaces, are those that
    the registry verified.
    """

    __tablename__ = "images"

    image_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(Serial, index=True)
    total_size: Mapped[int] = mapped_column(Serial)
    depth: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    command: Mapped[str] = mapped_column(Text, default="")
    author: Mapped[str] = mapped_column(String(255), default="")
    docker_version: Mapped[str] = mapped_column(String(50), default="")
    os: Mapped[str] = mapped_column(String(50), default="")
    architecture: Mapped[str] = mapped_column(String(50), default="")
    config: Mapped[str] = mapped_column(Text, default="{}")
    checksums: Mapped[str] = mapped_column(Text, default="", server_default="")
    read_at: Mapped[datetime] = mapped_column(UTCDateTime)
    store: Mapped[str | None] = mapped_column(String(32))


class TranslationRecord(Base):
    """What an image of a repository is by `/v2/`, as its registry said at `read_at`.

    `manifests` is a JSON list of media type, digest and size; it is empty where `problem` says why there is none, or
    where the registry knows nothing of it.
    """

    __tablename__ = "translations"

    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    manifests: Mapped[str] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger)
    problem: Mapped[str] = mapped_column(String(500))
    read_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Job(Leased):
    """A job at a registry for a repository, retried until it succeeds.

    `details` is a JSON object, `failure` why it did not work the last time.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("uq_jobs_kind_repository_id", "kind", "repository_id", unique=True),)

    kind: Mapped[str] = mapped_column(String(20))
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"), index=True)
    details: Mapped[str] = mapped_column(Text, default="{}")
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    failure: Mapped[str] = mapped_column(String(255), default="")
