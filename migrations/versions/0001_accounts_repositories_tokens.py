"""Accounts, repositories with their images and tags, tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_accounts()
    _create_repositories()
    _create_tokens()


def downgrade() -> None:
    for table in ("tags", "listed_images", "tokens", "repositories", "emails", "users"):
        op.drop_table(table)


def _create_accounts() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(30), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "emails",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emails")),
        sa.UniqueConstraint("address", name=op.f("uq_emails_address")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_emails_user_id_users"), ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_emails_user_id"), "emails", ["user_id"])


def _create_repositories() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("endpoint", sa.String(255), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repositories")),
        sa.UniqueConstraint("namespace", "name", name=op.f("uq_repositories_namespace_name")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_repositories_owner_id_users")),
    )
    op.create_index(op.f("ix_repositories_owner_id"), "repositories", ["owner_id"])
    op.create_table(
        "listed_images",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("checksum", sa.String(255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listed_images")),
        sa.UniqueConstraint("repository_id", "image_id", name=op.f("uq_listed_images_repository_id_image_id")),
        _of_repository("listed_images"),
    )
    op.create_index(op.f("ix_listed_images_image_id"), "listed_images", ["image_id"])
    op.create_table(
        "tags",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("image_id", sa.String(64), nullable=True),
        sa.Column("announced_id", sa.String(64), nullable=True),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "name", name=op.f("pk_tags")),
        _of_repository("tags"),
    )


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("repository", sa.String(511), nullable=False),
        sa.Column("access", sa.String(6), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment(), nullable=False),
        sa.Column("consumed_at", _moment(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tokens")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tokens_user_id_users"), ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_tokens_user_id"), "tokens", ["user_id"])
    op.create_index(op.f("ix_tokens_expires_at"), "tokens", ["expires_at"])


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _of_repository(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_repository_id_repositories")
    return sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=name, ondelete="CASCADE")
