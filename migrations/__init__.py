"""The index's schema, step by step: an Alembic environment that is installed with the code."""
