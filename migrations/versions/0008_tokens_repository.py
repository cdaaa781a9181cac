"""Which repository a token was issued for, whatever bears its name later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("repository_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("tokens", "repository_id")
