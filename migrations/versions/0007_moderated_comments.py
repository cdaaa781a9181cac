"""Who hid a comment as an administrator of the index: until now, whoever is one at this moment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("comments", sa.Column("is_moderated", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE comments SET is_moderated = true WHERE hidden_by IN (SELECT id FROM users WHERE is_admin)")


def downgrade() -> None:
    op.drop_column("comments", "is_moderated")
