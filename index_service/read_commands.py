"""The operator's commands that read, a noun before its verb: `wharfinger-index repository list`.

Each prints a table, or with `--json` what programs read: a list as an array, one thing as an object.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any

import click

from common.names import RepositoryName
from common.settings import in_force
from index_service import sizes
from index_service.command_context import running_services, settings_in_force
from index_service.settings import SERVICE

MEASURED_ROWS = 1000
"""The widths of columns follow from so many rows."""

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def account() -> None:
    """Accounts of people."""


@account.command("list")
@_as_json
def list_accounts(as_json: bool) -> None:
    """List all accounts."""
    with running_services() as found:
        _print_list(found.inventory.accounts(), as_json)


@account.command("show")
@click.argument("name")
@_as_json
def show_account(name: str, as_json: bool) -> None:
    """Show the account NAME."""
    with running_services() as found:
        _print_one(found.inventory.account(name), as_json)


@click.group()
def organisation() -> None:
    """Organisations."""


@organisation.command("list")
@_as_json
def list_organisations(as_json: bool) -> None:
    """List all organisations."""
    with running_services() as found:
        _print_list(found.inventory.organisations(), as_json)


@organisation.command("show")
@click.argument("name")
@_as_json
def show_organisation(name: str, as_json: bool) -> None:
    """Show the organisation NAME."""
    with running_services() as found:
        _print_one(found.inventory.organisation(name), as_json)


@click.group()
def repository() -> None:
    """Repositories."""


@repository.command("list")
@click.option("--namespace", help="Only those of this namespace.")
@_as_json
def list_repositories(namespace: str | None, as_json: bool) -> None:
    """List all repositories."""
    with running_services() as found:
        _print_list(found.inventory.repositories(namespace), as_json)


@repository.command("show")
@click.argument("name")
@_as_json
def show_repository(name: str, as_json: bool) -> None:
    """Show the repository NAME."""
    with running_services() as found:
        _print_one(found.inventory.repository(RepositoryName.parse(name)), as_json)


@click.group()
def tag() -> None:
    """Tags."""


@tag.command("list")
@click.argument("repository")
@_as_json
def list_tags(repository: str, as_json: bool) -> None:
    """List the tags of REPOSITORY."""
    with running_services() as found:
        _print_list(found.inventory.tags(RepositoryName.parse(repository)), as_json)


@click.group()
def token() -> None:
    """Access tokens."""


@token.command("list")
@click.option("--account", help="Only those of this account.")
@_as_json
def list_tokens(account: str | None, as_json: bool) -> None:
    """List access tokens, without their secrets, which are not kept."""
    with running_services() as found:
        _print_list(found.inventory.tokens(account), as_json)


@click.group()
def job() -> None:
    """Jobs at registries."""


@job.command("list")
@_as_json
def list_jobs(as_json: bool) -> None:
    """List jobs that wait or are tried again, the oldest first."""
    with running_services() as found:
        _print_list(found.inventory.jobs(), as_json)


@click.group()
def registry() -> None:
    """Registries."""


@registry.command("list")
@_as_json
def list_registries(as_json: bool) -> None:
    """List the registries that clients are sent to."""
    with running_services() as found:
        _print_list(found.inventory.registries(), as_json)


@click.group("settings")
def settings_group() -> None:
    """Settings."""


@settings_group.command("list")
@_as_json
def list_settings(as_json: bool) -> None:
    """List the settings in force, and where each comes from. Secrets are not told."""
    with settings_in_force() as found:
        _print_list(in_force(found, SERVICE, os.environ), as_json)


GROUPS = (account, organisation, repository, tag, token, job, registry, settings_group)


def _print_list(rows: Iterable[Any], as_json: bool) -> None:
    if as_json:
        separator = "["
        for row in rows:
            click.echo(separator + json.dumps(_plain(row), ensure_ascii=False), nl=False)
            separator = ",\n "
        click.echo("]" if separator != "[" else "[]")
        return
    for line in _table(iter(rows)):
        click.echo(line)


def _table(rows: Iterator[Any]) -> Iterator[str]:
    first = list(islice(rows, MEASURED_ROWS))
    if not first:
        return
    names = [field.name for field in dataclasses.fields(first[0])]
    heads = [name.removeprefix("is_").removesuffix("_at").replace("_", " ").upper() for name in names]
    cells = ([_shown(name, getattr(row, name)) for name in names] for row in chain(first, rows))
    measured = list(islice(cells, len(first)))
    widths = [max(map(len, column)) for column in zip(heads, *measured, strict=True)]
    for line in chain([heads], measured, cells):
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _print_one(found: Any, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_plain(found), ensure_ascii=False, indent=1))
        return
    for field in dataclasses.fields(found):
        head = field.name.removeprefix("is_").removesuffix("_at").replace("_", " ")
        click.echo(f"{head:14} {_shown(field.name, getattr(found, field.name))}")


def _shown(name: str, value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if name == "bytes":
        return sizes.rounded(value)
    if isinstance(value, dict):
        value = [f"{key} ({'confirmed' if is_confirmed else 'not confirmed'})" for key, is_confirmed in value.items()]
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)


def _plain(row: Any) -> dict[str, Any]:
    told = dataclasses.asdict(row).items()
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in told}
