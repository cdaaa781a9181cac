"""What the operator's commands run with: settings, a database of this version's schema, services.

Every foreseeable failure becomes one clear line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Engine

from common.errors import Failure
from common.settings import SettingsError
from index_service import schema
from index_service.database import open_engine
from index_service.db import now
from index_service.services import Services, build
from index_service.settings import IndexSettings, load_settings


@contextmanager
def settings_in_force() -> Iterator[IndexSettings]:
    try:
        yield load_settings(os.environ)
    except (SettingsError, Failure, schema.SchemaError, OSError) as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def running_services() -> Iterator[Services]:
    with settings_in_force() as settings, database_engine(settings) as engine:
        require_schema(engine)
        yield build(settings, engine, hasher=None, clock=now)


@contextmanager
def database_engine(settings: IndexSettings) -> Iterator[Engine]:
    engine = open_engine(settings.database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def require_schema(engine: Engine) -> None:
    """Raises SchemaError."""
    at, needed = schema.current(engine), schema.head()
    if at != needed:
        raise schema.SchemaError(
            f"the database is at revision {at or 'none'}, this version needs {needed}: run wharfinger-index migrate"
        )
