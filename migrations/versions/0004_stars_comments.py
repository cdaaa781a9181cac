"""Stars, comments with their versions, flags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("stars", "comments", "comment_versions", "flags")


def upgrade() -> None:
    _create_stars()
    _create_comments()
    _create_comment_versions()
    _create_flags()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _create_stars() -> None:
    op.create_table(
        "stars",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_stars_repository_id_repositories"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_stars_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "repository_id", name=op.f("pk_stars")),
    )
    op.create_index(op.f("ix_stars_repository_id"), "stars", ["repository_id"])


def _create_comments() -> None:
    op.create_table(
        "comments",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=True),
        sa.Column("image_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("edited_at", _moment(), nullable=True),
        sa.Column("hidden_at", _moment(), nullable=True),
        sa.Column("hidden_by", sa.Integer(), nullable=True),
        sa.CheckConstraint("tag IS NULL OR image_id IS NULL", name=op.f("ck_comments_one_anchor")),
        sa.ForeignKeyConstraint(
            ["author_id"], ["users.id"], name=op.f("fk_comments_author_id_users"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["hidden_by"], ["users.id"], name=op.f("fk_comments_hidden_by_users"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_comments_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_author_id"), "comments", ["author_id"])
    op.create_index(op.f("ix_comments_image_id"), "comments", ["image_id"])
    op.create_index(op.f("ix_comments_repository_id_created_at"), "comments", ["repository_id", "created_at"])


def _create_comment_versions() -> None:
    op.create_table(
        "comment_versions",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("comment_id", _serial(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("replaced_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comment_id"], ["comments.id"], name=op.f("fk_comment_versions_comment_id_comments"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment_versions")),
    )
    op.create_index(op.f("ix_comment_versions_comment_id"), "comment_versions", ["comment_id"])


def _create_flags() -> None:
    op.create_table(
        "flags",
        sa.Column("comment_id", _serial(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comment_id"], ["comments.id"], name=op.f("fk_flags_comment_id_comments"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_flags_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("comment_id", "user_id", name=op.f("pk_flags")),
    )
    op.create_index(op.f("ix_flags_user_id"), "flags", ["user_id"])


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _serial() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
