"""The operator's commands: `wharfinger-index --help`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from common.errors import Failure
from common.names import RepositoryName
from common.serving import become_gunicorn
from index_service import schema, sizes
from index_service.accounts.access import SELECTABLE, Ended, Selection
from index_service.command_context import database_engine, require_schema, running_services, settings_in_force
from index_service.images.quotas import QuotaChange, read_bytes, read_count
from index_service.read_commands import GROUPS
from index_service.services.operations import Operations
from index_service.services.reindex import Reindex


@click.group()
@click.version_option(package_name="wharfinger")
def main() -> None:
    """The index of Wharfinger: accounts, names, tokens and search for Docker clients of protocol v1."""


@main.command()
def serve() -> None:
    """Serve until stopped. The database has to be migrated."""
    with settings_in_force() as settings, database_engine(settings) as engine:
        require_schema(engine)
    become_gunicorn("index_service.wsgi:app")


@main.command()
def migrate() -> None:
    """Bring the database to this version's schema. Safe when several start at once."""
    with settings_in_force() as settings, database_engine(settings) as engine:
        schema.upgrade(engine)
        click.echo(f"The database is at revision {schema.current(engine)}.")


@main.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the database back to REVISION, or to `base`, which empties it."""
    with settings_in_force() as settings, database_engine(settings) as engine:
        schema.downgrade(engine, revision)
        click.echo(f"The database is at revision {schema.current(engine) or 'base'}.")


for _group in GROUPS:
    main.add_command(_group)

_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@main.command("create-user")
@click.argument("name")
@click.option("--email", help="The account's address.")
@click.option("--admin", is_flag=True, help="May push library repositories.")
@_password_stdin
def create_user(name: str, email: str | None, admin: bool, password_stdin: bool) -> None:
    """Create the account NAME."""
    with _operations() as operations:
        operations.create_user(name, _password(password_stdin), email, is_admin=admin)
        click.echo(f"Created account {name}.")


@main.command("set-password")
@click.argument("name")
@click.option("--keep-access-tokens", is_flag=True, help="Leave the account's access tokens valid.")
@_password_stdin
def set_password(name: str, keep_access_tokens: bool, password_stdin: bool) -> None:
    """Set the password of NAME; end all sessions, tokens and links that came with the old one."""
    with _operations() as operations:
        operations.set_password(name, _password(password_stdin), keeps_access_tokens=keep_access_tokens)
        click.echo(f"Changed the password of {name}.")


@main.command()
@click.argument("name")
def deactivate(name: str) -> None:
    """Deactivate the account NAME: no login, and all its sessions, tokens and reset links end for good."""
    _set_active(name, is_active=False)


@main.command()
@click.argument("name")
def activate(name: str) -> None:
    """Activate the account NAME again."""
    _set_active(name, is_active=True)


@main.command("set-admin")
@click.argument("name")
@click.argument("answer", type=click.Choice(["yes", "no"]))
def set_admin(name: str, answer: str) -> None:
    """Grant NAME administrator rights, or remove them."""
    with _operations() as operations:
        operations.set_admin(name, is_admin=answer == "yes")
        click.echo(f"{name} is {'now' if answer == 'yes' else 'no longer'} an administrator.")


@main.command("create-organisation")
@click.argument("name")
@click.option("--owner", required=True, help="The account that owns it.")
def create_organisation(name: str, owner: str) -> None:
    """Create the organisation NAME."""
    with _operations() as operations:
        operations.create_organisation(name, owner)
        click.echo(f"Created organisation {name}, owned by {owner}.")


@main.command("add-owner")
@click.argument("organisation")
@click.argument("name")
def add_owner(organisation: str, name: str) -> None:
    """Make NAME an owner of ORGANISATION, when its owners are gone or are about to leave."""
    with _operations() as operations:
        operations.add_owner(organisation, name)
        click.echo(f"{name} is now an owner of {organisation}.")


@main.command("revoke-tokens")
@click.argument("name")
def revoke_tokens(name: str) -> None:
    """End every token of NAME: pull and push tokens of its daemons, and access tokens."""
    with _operations() as operations:
        ended = operations.revoke_tokens(name)
        both = f"{_count(ended.protocol_tokens, 'pull/push token')} and {_count(ended.access_tokens, 'access token')}"
        click.echo(f"{both} of {name} revoked.")


@main.command("list-access")
@click.argument("name")
def list_access(name: str) -> None:
    """List what NAME is signed in with: sessions, pull and push tokens, access tokens, with the ids for end-access."""
    with _operations() as operations:
        held = operations.access(name)
        for record in held.sessions:
            used = f"last used {record.seen_at:%Y-%m-%d %H:%M}"
            click.echo(f"sessions {record.digest} {used} from {record.address}: {record.browser}")
        for token in held.protocol_tokens:
            issued = f"issued {token.created_at:%Y-%m-%d %H:%M}"
            click.echo(f"protocol-tokens {token.digest} {token.access} {token.repository} {issued}: {token.client}")
        for access in held.access_tokens:
            used = f"last used {access.used_at:%Y-%m-%d %H:%M} from {access.used_from}" if access.used_at else "unused"
            rights = "write" if access.can_write else "read"
            click.echo(f"access-tokens {access.id} {rights} {access.pattern} {used}: {access.name}")
        older = held.protocol_tokens_total - len(held.protocol_tokens)
        if older:
            click.echo(f"{_count(older, 'older pull/push token')} not listed.")


@main.command("end-access")
@click.argument("name")
@click.argument("kind", type=click.Choice(list(SELECTABLE)))
@click.argument("id_", metavar="[ID]", required=False, default="")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def end_access(name: str, kind: str, id_: str, yes: bool) -> None:
    """End the access of NAME of a KIND: all of it, or the session or token with this ID, as list-access prints it."""
    if kind == "all" and id_:
        raise click.UsageError("an ID is one of sessions, protocol-tokens or access-tokens")
    if not yes:
        click.confirm(f"End {kind}{f' {id_}' if id_ else ''} of {name}?", abort=True)
    with _operations() as operations:
        ended = operations.end_access(name, Selection(SELECTABLE[kind], id_))
        click.echo(f"{_ended(ended)} of {name} ended.")


@main.command()
def clean() -> None:
    """Delete expired tokens; serving processes do so too, some at a time."""
    with _operations() as operations:
        click.echo(f"Deleted {_count(operations.clean(), 'expired token')}.")


@main.command("set-access")
@click.argument("repository")
@click.argument("access", type=click.Choice(["public", "private"]))
def set_access(repository: str, access: str) -> None:
    """Make REPOSITORY public or private."""
    with _operations() as operations:
        operations.set_private(RepositoryName.parse(repository), is_private=access == "private")
        click.echo(f"{RepositoryName.parse(repository)} is now {access}.")


@main.command("set-quota")
@click.argument("namespace")
@click.option("--bytes", "size", metavar="SIZE", help="As 500MB or 10GB; 0 is no limit, `default` the setting's.")
@click.option("--repositories", "count", metavar="NUMBER", help="0 is no limit, `default` the setting's.")
def set_quota(namespace: str, size: str | None, count: str | None) -> None:
    """Set how much NAMESPACE may have, and print what it has. What is not given stays as it is."""
    with _operations() as operations:
        change: QuotaChange = {}
        if size is not None:
            change["bytes"] = read_bytes(size.replace("default", ""))
        if count is not None:
            change["repositories"] = read_count(count.replace("default", ""))
        operations.set_quota(namespace, change)
        usage = operations.quota(namespace)
        limits = usage.allowed
        click.echo(
            f"bytes: {sizes.rounded(usage.bytes)} of {sizes.rounded(limits.bytes) if limits.bytes else 'no limit'}"
        )
        click.echo(f"repositories: {usage.repositories} of {limits.repositories or 'no limit'}")


@main.command("rename")
@click.argument("repository")
@click.argument("target")
def rename(repository: str, target: str) -> None:
    """Rename REPOSITORY to TARGET; while the index serves, the registry follows."""
    with _operations() as operations:
        old, new = RepositoryName.parse(repository), RepositoryName.parse(target)
        operations.rename(old, new)
        click.echo(f"Renamed {old} to {new}.")


@main.command("move-endpoint")
@click.argument("old")
@click.argument("new")
def move_endpoint(old: str, new: str) -> None:
    """Send clients to the registry NEW (host:port) for every repository on OLD."""
    with _operations() as operations:
        click.echo(f"Moved {_count(operations.move_endpoint(old, new), 'repository')} to {new}.")


@main.command("shared-images")
def shared_images() -> None:
    """List the images that repositories of several namespaces have, and who listed each first.

    Before repositories held images, whoever pushed first under an id determined what all others got.
    """
    with _operations() as operations:
        count = 0
        for image in operations.shared_images():
            count += 1
            unnamed = image.count - len(image.holders)
            click.echo(
                f"{image.image_id}: first listed by {image.first or 'nobody known'};"
                f" in {', '.join(map(str, image.holders))}{f' and {unnamed} more' if unnamed else ''}"
            )
        click.echo(f"{_count(count, 'image')} shared between namespaces.", err=True)


_PROGRESS = 100
"""After so many repositories `reindex` says how far it is."""


@main.command()
@click.argument("repositories", nargs=-1)
@click.option("--take-over", "owner", metavar="OWNER", help="Take over repositories that the index does not know.")
def reindex(repositories: tuple[str, ...], owner: str | None) -> None:
    """Reread tags and images of REPOSITORIES, or of all, from their registries, while the index is being served.

    What a registry returns is added or updated; nothing is removed. To take over what a store held before this index,
    name it, or read names from standard input with `-`: `wharfinger-registry repositories` prints them. With
    --take-over a repository becomes private where its store marks it so.
    """
    with running_services() as services:
        names = list(_named(repositories)) if repositories else [str(name) for name in services.reindex.repositories()]
        failed = 0
        for number, name in enumerate(names, 1):
            failed += not _reindex(services.reindex, name, owner)
            if number % _PROGRESS == 0:
                click.echo(f"{number} of {len(names)}", err=True)
    if failed:
        raise click.ClickException(f"{failed} of {len(names)} repositories could not be read")


def _named(repositories: tuple[str, ...]) -> Iterator[str]:
    for repository in repositories:
        if repository == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield repository


def _reindex(reindex: Reindex, name: str, owner: str | None) -> bool:
    try:
        found = reindex.run(RepositoryName.parse(name), owner)
    except Failure as failure:
        click.echo(f"{name}: {failure.message}", err=True)
        return False
    lacking = f", {found.missing} images missing" if found.missing else ""
    click.echo(f"{name}: {found.tags} tags, {found.images} images{lacking}")
    return True


def _ended(ended: Ended) -> str:
    tokens = f"{_count(ended.protocol_tokens, 'pull/push token')} and {_count(ended.access_tokens, 'access token')}"
    return f"{_count(ended.sessions, 'session')}, {tokens}"


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _set_active(name: str, *, is_active: bool) -> None:
    with _operations() as operations:
        operations.set_active(name, is_active=is_active)
        click.echo(f"{'Activated' if is_active else 'Deactivated'} account {name}.")


@contextmanager
def _operations() -> Iterator[Operations]:
    with running_services() as services:
        yield services.operations


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
