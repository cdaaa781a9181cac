"""The table of search, in each database's own way; indexes for what is counted over the whole index.

It is created empty: `index_service.schema.upgrade`, at head, writes the documents that are missing. The table has no
model. On SQLite the trigger goes with the table `repositories`: a later step that rebuilds that table has to make the
trigger again.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


# What is new goes into the index at once: a list still to be worked in would slow every reader.
_POSTGRESQL = """
CREATE TABLE search_documents (
    repository_id integer PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    words tsvector NOT NULL
);
CREATE INDEX ix_search_documents_words ON search_documents USING gin (words) WITH (fastupdate = off)
"""
_SQLITE = """
CREATE VIRTUAL TABLE search_documents USING fts5(words, tokenize = 'ascii', detail = none, columnsize = 0);
CREATE TRIGGER search_documents_gone AFTER DELETE ON repositories
BEGIN DELETE FROM search_documents WHERE rowid = old.id; END
"""


def upgrade() -> None:
    for statement in (_SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL).split(";\n"):
        op.execute(statement)
    op.create_index(op.f("ix_pulls_day"), "pulls", ["day"])
    op.create_index(op.f("ix_images_size"), "images", ["size"])


def downgrade() -> None:
    op.drop_index(op.f("ix_images_size"), "images")
    op.drop_index(op.f("ix_pulls_day"), "pulls")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER search_documents_gone")
    op.execute("DROP TABLE search_documents")
