"""Where the source of a repository's images is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("repositories", sa.Column("source_url", sa.String(255), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("repositories", "source_url")
