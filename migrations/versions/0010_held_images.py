"""Which images a repository holds, which ids were only announced, and the checksums that registries verified."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BATCH_SIZE = 1000
"""Repositories whose images are found by one statement: it remembers every pair it has found until its end."""

_HOLD = """
    WITH RECURSIVE reached (repository_id, image_id) AS (
        SELECT repository_id, image_id FROM tags
        WHERE image_id IS NOT NULL AND repository_id > :after AND repository_id <= :last
        UNION
        SELECT reached.repository_id, images.parent_id FROM reached JOIN images ON images.image_id = reached.image_id
        WHERE images.parent_id IS NOT NULL
    )
    INSERT INTO held_images (repository_id, image_id, is_apart, held_at)
    SELECT repository_id, image_id, false, CURRENT_TIMESTAMP FROM reached
"""

_READ_INCOMPLETE = """
    INSERT INTO jobs (kind, repository_id, details, asked_at, due_at, attempts, failure)
    SELECT 'read', id, '{}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 0, '' FROM repositories
    WHERE id IN (
        SELECT repository_id FROM held_images
        WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.image_id = held_images.image_id)
    )
    ON CONFLICT (kind, repository_id) DO UPDATE SET due_at = excluded.due_at
"""

_LEAVE_TO_JOB = """
    DELETE FROM held_images
    WHERE repository_id IN (
        SELECT repository_id FROM held_images
        WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.image_id = held_images.image_id)
    )
    AND EXISTS (
        SELECT 1 FROM tags WHERE tags.repository_id = held_images.repository_id AND tags.image_id = held_images.image_id
    )
"""


def upgrade() -> None:
    # With defaults of the database's own, so that processes of the version before can still write.
    op.add_column("listed_images", sa.Column("is_announced", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("images", sa.Column("checksums", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "held_images",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("is_apart", sa.Boolean(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_held_images_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "image_id", name=op.f("pk_held_images")),
    )
    _fill()
    op.create_index(op.f("ix_held_images_image_id"), "held_images", ["image_id"])


def downgrade() -> None:
    op.drop_table("held_images")
    op.drop_column("images", "checksums")
    op.drop_column("listed_images", "is_announced")


def _fill() -> None:
    """A repository holds what its tags reach.

    Where a chain is not known to its end, a job reads the tags' ancestries from the registry: it does so for all tags
    whose images are not held.
    """
    connection = op.get_bind()
    count = connection.scalar(sa.text("SELECT max(id) FROM repositories")) or 0
    for after in range(0, count, BATCH_SIZE):
        connection.execute(sa.text(_HOLD), {"after": after, "last": after + BATCH_SIZE})
    connection.execute(sa.text(_READ_INCOMPLETE))
    connection.execute(sa.text(_LEAVE_TO_JOB))
