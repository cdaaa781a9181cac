"""The operator's commands for a registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from common import serving
from common.errors import Failure
from common.settings import SettingsError
from registry_service.app import create_registry
from registry_service.settings import RegistrySettings, load_settings
from registry_service.storage import factory
from registry_service.storage.check import Check
from registry_service.storage.driver import Driver


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Say what is wrong in one line; a traceback helps nobody mend a setting."""
    try:
        yield
    except (SettingsError, Failure) as error:
        raise click.ClickException(str(error)) from error


def _open() -> tuple[RegistrySettings, Driver]:
    """The settings, and the store they name, tried out."""
    settings = load_settings(os.environ)
    return settings, factory.create(settings.storage, settings.storage_path, os.environ, redis_url=settings.redis_url)


@click.group()
def main() -> None:
    """Wharfinger's registry: images, layers and their ancestry."""


@main.command()
def serve() -> None:
    """Serve until SIGTERM; transfers under way are let finish."""
    with _one_line_errors():
        _open()
    serving.become_gunicorn("registry_service.wsgi:app")


@main.command()
def check() -> None:
    """Try the configured store out, and say what works and what to mend; fails where something needed does not."""
    with _one_line_errors():
        settings, driver = _open()
    click.echo(f"{'store':<14} {settings.storage}, at {settings.storage_path or '/'}")
    fatal = False
    for finding in Check(driver, settings.delivery).findings():
        click.echo(str(finding))
        fatal = fatal or finding.is_fatal
    if fatal:
        raise click.ClickException("this store cannot be used as it is")


@main.command()
def sweep() -> None:
    """Drop what unfinished pushes left behind, once it is older than the setting upload_seconds."""
    with _one_line_errors():
        dropped = create_registry(*_open()).push.expire()
    click.echo(f"{dropped} unfinished uploads dropped")


if __name__ == "__main__":
    main()
