"""The tables of stars and comments."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from index_service.db import Base, Serial, UTCDateTime


class Star(Base):
    """A person's star on a repository."""

    __tablename__ = "stars"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    repository_id: Mapped[int] = mapped_column(
        ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Comment(Base):
    """A comment on a repository, in a subset of Markdown.

    With a `tag` or an `image_id` it is an annotation, shown wherever that tag or that image appears. A hidden one is
    kept, and shown to nobody but the repository's administrators and its author. It `is_moderated` where whoever hid it
    did so as an administrator of the index.
    """

    __tablename__ = "comments"
    __table_args__ = (
        CheckConstraint("tag IS NULL OR image_id IS NULL", name="one_anchor"),
        Index("ix_comments_repository_id_created_at", "repository_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    body: Mapped[str] = mapped_column(Text)
    tag: Mapped[str | None] = mapped_column(String(255))
    image_id: Mapped[str | None] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    edited_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    hidden_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    hidden_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    is_moderated: Mapped[bool] = mapped_column(default=False, server_default=false())


class CommentVersion(Base):
    """The version of a comment that an edit replaced at `replaced_at`."""

    __tablename__ = "comment_versions"

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    comment_id: Mapped[int] = mapped_column(ForeignKey("comments.id", ondelete="CASCADE"), index=True)
    body: Mapped[str] = mapped_column(Text)
    replaced_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Flag(Base):
    """A reader's flag on a comment, for moderation."""

    __tablename__ = "flags"

    comment_id: Mapped[int] = mapped_column(ForeignKey("comments.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    reason: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
