"""Quotas of namespaces, and the bytes of what a repository keeps apart, which count against them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("namespaces", sa.Column("quota_bytes", sa.BigInteger()))
    op.add_column("namespaces", sa.Column("quota_repositories", sa.BigInteger()))
    op.add_column("held_images", sa.Column("apart_size", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("held_images", "apart_size")
    op.drop_column("namespaces", "quota_repositories")
    op.drop_column("namespaces", "quota_bytes")
