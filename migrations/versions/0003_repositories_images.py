"""What lists are sorted by, roles, the history of tags, counted pulls, images' facts and jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("tag_moves", "roles", "pulls", "images", "jobs")


_SHOWN = {"pushed": "pushed_at", "stars": "star_count", "pulls": "pull_count"}


def upgrade() -> None:
    _extend_repositories()
    op.create_index(op.f("ix_tags_image_id"), "tags", ["image_id"])
    _create_tag_moves()
    _create_roles()
    _create_pulls()
    _create_images()
    _create_jobs()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.drop_index(op.f("ix_tags_image_id"), "tags")
    _reduce_repositories()


def _extend_repositories() -> None:
    with op.batch_alter_table("repositories") as batch:
        batch.add_column(sa.Column("readme", sa.Text(), nullable=False, server_default=""))
        batch.add_column(sa.Column("is_tagged", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("star_count", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("pull_count", _serial(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("layer_bytes", _serial(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("pushed_at", _moment(), nullable=True))
    op.execute(
        "UPDATE repositories SET pushed_at = updated_at, is_tagged = EXISTS"
        " (SELECT 1 FROM tags WHERE tags.repository_id = repositories.id AND tags.image_id IS NOT NULL)"
    )
    with op.batch_alter_table("repositories") as batch:
        batch.drop_constraint(op.f("fk_repositories_owner_id_users"), type_="foreignkey")
        batch.drop_index(op.f("ix_repositories_owner_id"))
        batch.alter_column("owner_id", new_column_name="creator_id", existing_type=sa.Integer(), nullable=True)
        batch.alter_column("pushed_at", existing_type=_moment(), nullable=False)
    with op.batch_alter_table("repositories") as batch:
        batch.create_index(op.f("ix_repositories_creator_id"), ["creator_id"])
        batch.create_foreign_key(
            op.f("fk_repositories_creator_id_users"), "users", ["creator_id"], ["id"], ondelete="SET NULL"
        )
        batch.create_foreign_key(
            op.f("fk_repositories_namespace_namespaces"), "namespaces", ["namespace"], ["name"], onupdate="CASCADE"
        )
        for order, column in _SHOWN.items():
            batch.create_index(op.f(f"ix_repositories_shown_{order}"), ["is_private", "is_tagged", column, "id"])


def _reduce_repositories() -> None:
    # A repository whose creator is gone has to belong to somebody again.
    op.execute("UPDATE repositories SET creator_id = (SELECT min(id) FROM users) WHERE creator_id IS NULL")
    with op.batch_alter_table("repositories") as batch:
        for order in _SHOWN:
            batch.drop_index(op.f(f"ix_repositories_shown_{order}"))
        batch.drop_constraint(op.f("fk_repositories_namespace_namespaces"), type_="foreignkey")
        batch.drop_constraint(op.f("fk_repositories_creator_id_users"), type_="foreignkey")
        batch.drop_index(op.f("ix_repositories_creator_id"))
        batch.alter_column("creator_id", new_column_name="owner_id", existing_type=sa.Integer(), nullable=False)
        for column in ("pushed_at", "layer_bytes", "pull_count", "star_count", "is_tagged", "readme"):
            batch.drop_column(column)
    with op.batch_alter_table("repositories") as batch:
        batch.create_index(op.f("ix_repositories_owner_id"), ["owner_id"])
        batch.create_foreign_key(op.f("fk_repositories_owner_id_users"), "users", ["owner_id"], ["id"])


def _create_tag_moves() -> None:
    op.create_table(
        "tag_moves",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.Column("image_id", sa.String(length=64), nullable=True),
        sa.Column("previous_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("client", sa.String(length=255), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_tag_moves_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_tag_moves_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_moves")),
    )
    op.create_index(op.f("ix_tag_moves_at"), "tag_moves", ["at"])
    op.create_index(op.f("ix_tag_moves_repository_id_tag_at"), "tag_moves", ["repository_id", "tag", "at"])
    op.create_index(op.f("ix_tag_moves_user_id"), "tag_moves", ["user_id"])


def _create_roles() -> None:
    op.create_table(
        "roles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("namespace", sa.String(length=255), nullable=True),
        sa.Column("repository_id", sa.Integer(), nullable=True),
        sa.Column("role", sa.String(length=5), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.CheckConstraint("(namespace IS NULL) <> (repository_id IS NULL)", name=op.f("ck_roles_one_object")),
        sa.CheckConstraint("(user_id IS NULL) <> (team_id IS NULL)", name=op.f("ck_roles_one_subject")),
        sa.ForeignKeyConstraint(
            ["namespace"],
            ["namespaces.name"],
            name=op.f("fk_roles_namespace_namespaces"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_roles_repository_id_repositories"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_roles_team_id_teams"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_roles_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("team_id", "namespace", name=op.f("uq_roles_team_id_namespace")),
        sa.UniqueConstraint("team_id", "repository_id", name=op.f("uq_roles_team_id_repository_id")),
        sa.UniqueConstraint("user_id", "namespace", name=op.f("uq_roles_user_id_namespace")),
        sa.UniqueConstraint("user_id", "repository_id", name=op.f("uq_roles_user_id_repository_id")),
    )
    op.create_index(op.f("ix_roles_namespace"), "roles", ["namespace"])
    op.create_index(op.f("ix_roles_repository_id"), "roles", ["repository_id"])


def _create_pulls() -> None:
    op.create_table(
        "pulls",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_pulls_repository_id_repositories"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "day", name=op.f("pk_pulls")),
    )


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("size", _serial(), nullable=False),
        sa.Column("total_size", _serial(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment(), nullable=True),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("docker_version", sa.String(length=50), nullable=False),
        sa.Column("os", sa.String(length=50), nullable=False),
        sa.Column("architecture", sa.String(length=50), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("read_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_images")),
    )
    op.create_index(op.f("ix_images_parent_id"), "images", ["parent_id"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("asked_at", _moment(), nullable=False),
        sa.Column("due_at", _moment(), nullable=False),
        sa.Column("taken_until", _moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_jobs_repository_id_repositories"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_due_at"), "jobs", ["due_at"])
    op.create_index(op.f("ix_jobs_repository_id"), "jobs", ["repository_id"])
    op.create_index(op.f("uq_jobs_kind_repository_id"), "jobs", ["kind", "repository_id"], unique=True)


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _serial() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
