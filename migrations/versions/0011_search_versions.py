"""The version of each repository's search document; those that are there count as outdated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("repositories", sa.Column("search_version", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("repositories", "search_version")
