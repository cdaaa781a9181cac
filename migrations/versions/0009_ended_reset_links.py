"""How often the links that reset an account's password were ended, so that closing an account ends them for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a default of the database's own, so that processes of the version before can still make accounts.
    op.add_column("users", sa.Column("reset_generation", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("users", "reset_generation")
