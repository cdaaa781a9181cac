"""READMEs as HTML, kept beside their text. What is not rendered yet is rendered when it is read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("repositories", sa.Column("readme_html", sa.Text(), nullable=False, server_default=""))
    op.add_column("repositories", sa.Column("rendered_by", sa.String(32), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("repositories", "rendered_by")
    op.drop_column("repositories", "readme_html")
