"""In which store a repository holds its images, and of which one the metadata of an id is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_READ_ALL = """
    INSERT INTO jobs (kind, repository_id, details, asked_at, due_at, attempts, failure)
    SELECT 'read', id, '{}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 0, '' FROM repositories
    WHERE (SELECT count(DISTINCT endpoint) FROM repositories) > 1
    ON CONFLICT (kind, repository_id) DO UPDATE SET due_at = excluded.due_at
"""


def upgrade() -> None:
    op.add_column("repositories", sa.Column("store", sa.String(32), nullable=True))
    op.add_column("images", sa.Column("store", sa.String(32), nullable=True))
    # With a default of the database's own, so that processes of the version before can still write.
    op.add_column("held_images", sa.Column("is_foreign", sa.Boolean(), nullable=False, server_default=sa.false()))
    # With one registry there is one store. Of several, each has to say which one is its own.
    op.execute(_READ_ALL)


def downgrade() -> None:
    op.drop_column("held_images", "is_foreign")
    op.drop_column("images", "store")
    op.drop_column("repositories", "store")
