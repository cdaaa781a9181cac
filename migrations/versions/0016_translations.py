"""What tagged images are by `/v2/`: their manifests, or why they have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "translations",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("manifests", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_translations_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "image_id", name=op.f("pk_translations")),
    )


def downgrade() -> None:
    op.drop_table("translations")
    op.execute("DELETE FROM jobs WHERE kind = 'translate'")
