"""Profiles, organisations and teams, sessions, access tokens, namespaces, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("organisations", "members", "teams", "team_members", "namespaces", "sessions", "access_tokens", "audit")


_PROFILE = {"full_name": 100, "about": 500, "location": 100, "company": 100, "website": 255, "language": 10}


def upgrade() -> None:
    _extend_people()
    _create_organisations()
    _create_members()
    _create_teams()
    _create_team_members()
    _create_namespaces()
    _create_sessions()
    _create_access_tokens()
    _create_audit()
    _give_namespaces()
    _extend_tokens()


def downgrade() -> None:
    with op.batch_alter_table("tokens") as batch:
        batch.drop_constraint(op.f("fk_tokens_access_token_id_access_tokens"), type_="foreignkey")
        batch.drop_index(op.f("ix_tokens_access_token_id"))
        for column in ("access_token_id", "client", "is_own"):
            batch.drop_column(column)
    for table in reversed(_TABLES):
        op.drop_table(table)
    with op.batch_alter_table("emails") as batch:
        batch.drop_column("confirmed_at")
    with op.batch_alter_table("users") as batch:
        for column in _PROFILE:
            batch.drop_column(column)


def _extend_people() -> None:
    with op.batch_alter_table("users") as batch:
        for column, length in _PROFILE.items():
            batch.add_column(sa.Column(column, sa.String(length), nullable=False, server_default=""))
    with op.batch_alter_table("emails") as batch:
        batch.add_column(sa.Column("confirmed_at", _moment(), nullable=True))


def _give_namespaces() -> None:
    """To everybody who is there, and `library` to nobody."""
    op.execute("INSERT INTO namespaces (name, default_private) VALUES ('library', false)")
    op.execute("INSERT INTO namespaces (name, user_id, default_private) SELECT name, id, false FROM users")


def _extend_tokens() -> None:
    with op.batch_alter_table("tokens") as batch:
        batch.add_column(sa.Column("is_own", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("client", sa.String(255), nullable=False, server_default=""))
        batch.add_column(sa.Column("access_token_id", sa.Integer(), nullable=True))
        batch.create_index(op.f("ix_tokens_access_token_id"), ["access_token_id"])
        batch.create_foreign_key(
            op.f("fk_tokens_access_token_id_access_tokens"),
            "access_tokens",
            ["access_token_id"],
            ["id"],
            ondelete="CASCADE",
        )


def _create_organisations() -> None:
    op.create_table(
        "organisations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("full_name", sa.String(length=100), nullable=False),
        sa.Column("about", sa.String(length=500), nullable=False),
        sa.Column("website", sa.String(length=255), nullable=False),
        sa.Column("member_role", sa.String(length=5), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
        sa.UniqueConstraint("name", name=op.f("uq_organisations_name")),
    )


def _create_members() -> None:
    op.create_table(
        "members",
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("is_owner", sa.Boolean(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_members_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_members_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation_id", "user_id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user_id"), "members", ["user_id"])


def _create_teams() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("about", sa.String(length=255), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_teams_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_teams_organisation_id_name")),
    )


def _create_team_members() -> None:
    op.create_table(
        "team_members",
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name=op.f("fk_team_members_team_id_teams"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_team_members_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("pk_team_members")),
    )
    op.create_index(op.f("ix_team_members_user_id"), "team_members", ["user_id"])


def _create_namespaces() -> None:
    op.create_table(
        "namespaces",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("default_private", sa.Boolean(), nullable=False),
        sa.CheckConstraint("user_id IS NULL OR organisation_id IS NULL", name=op.f("ck_namespaces_one_owner")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_namespaces_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_namespaces_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_namespaces")),
        sa.UniqueConstraint("organisation_id", name=op.f("uq_namespaces_organisation_id")),
        sa.UniqueConstraint("user_id", name=op.f("uq_namespaces_user_id")),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("seen_at", _moment(), nullable=False),
        sa.Column("proved_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("browser", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])


def _create_access_tokens() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("can_write", sa.Boolean(), nullable=False),
        sa.Column("pattern", sa.String(length=511), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment(), nullable=True),
        sa.Column("used_at", _moment(), nullable=True),
        sa.Column("used_from", sa.String(length=45), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_access_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_access_tokens_digest")),
    )
    op.create_index(op.f("ix_access_tokens_user_id"), "access_tokens", ["user_id"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _serial(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=30), nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("subject", sa.String(length=511), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_audit_actor_id_users"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_actor_id"), "audit", ["actor_id"])
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"])


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _serial() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
