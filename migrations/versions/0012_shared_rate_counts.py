"""Counts that all processes share, the networks an account is used from, and addresses that several may claim."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_CONFIRMED = sa.text("confirmed_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "rate_counts",
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_counts")),
    )
    op.create_index(op.f("ix_rate_counts_ends_at"), "rate_counts", ["ends_at"])
    op.create_table(
        "known_networks",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("access_token_id", sa.Integer(), nullable=False),
        sa.Column("network", sa.String(45), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "access_token_id", "network", name=op.f("pk_known_networks")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_known_networks_user_id_users"), ondelete="CASCADE"
        ),
    )
    with op.batch_alter_table("emails") as emails:
        emails.drop_constraint(op.f("uq_emails_address"), type_="unique")
        emails.create_unique_constraint(op.f("uq_emails_user_id_address"), ["user_id", "address"])
    op.create_index(op.f("ix_emails_address"), "emails", ["address"])
    op.create_index(
        "uq_emails_confirmed_address",
        "emails",
        ["address"],
        unique=True,
        sqlite_where=_CONFIRMED,
        postgresql_where=_CONFIRMED,
    )


def downgrade() -> None:
    """Of an address that several claim, the account that confirmed it keeps it, or else the first."""
    op.execute(
        "DELETE FROM emails WHERE EXISTS (SELECT 1 FROM emails AS other WHERE other.address = emails.address AND "
        "(other.confirmed_at IS NOT NULL AND emails.confirmed_at IS NULL OR (other.confirmed_at IS NULL) = "
        "(emails.confirmed_at IS NULL) AND other.id < emails.id))"
    )
    op.drop_index("uq_emails_confirmed_address", "emails")
    op.drop_index(op.f("ix_emails_address"), "emails")
    with op.batch_alter_table("emails") as emails:
        emails.drop_constraint(op.f("uq_emails_user_id_address"), type_="unique")
        emails.create_unique_constraint(op.f("uq_emails_address"), ["address"])
    op.drop_table("known_networks")
    op.drop_table("rate_counts")
