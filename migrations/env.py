"""How Alembic runs: on the connection that `index_service.schema` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from index_service.schema import is_modelled, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata(),
    include_name=is_modelled,
    # SQLite cannot alter a table in place; it is rebuilt.
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
