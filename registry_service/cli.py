"""The operator's commands for a registry."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from common import serving
from common.errors import Failure
from common.names import ImageId, RepositoryName, Tag
from common.settings import SettingsError
from registry_service.app import create_registry
from registry_service.collection.collector import LEAST_GRACE_SECONDS, Collection, Collector
from registry_service.graph.holdings import EVERYBODY, Holder, RepositoryHolder
from registry_service.graph.image_repair import ImageRepair, Report
from registry_service.graph.images import Images
from registry_service.graph.push import PIECE
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import LATEST, Tags
from registry_service.oci.bulk import BulkTranslation, Outcome, TagReport
from registry_service.oci.docker_archive import read_archive
from registry_service.oci.export import Export
from registry_service.oci.importing import Import
from registry_service.oci.layout import Layout
from registry_service.oci.logins import login_at
from registry_service.oci.records import Records
from registry_service.oci.remote_client import RegistryAddress, RemoteClient
from registry_service.oci.remote_export import RemoteExport, RemoteReport, Sent
from registry_service.oci.remote_registry import RemoteRegistry
from registry_service.oci.saved_layout import read_layout
from registry_service.oci.translation import Translations
from registry_service.services import Registry
from registry_service.settings import RegistrySettings, load_settings
from registry_service.storage import factory
from registry_service.storage.check import Check
from registry_service.storage.driver import Driver
from registry_service.storage.dry_run import DryRun
from registry_service.storage.paced import Paced
from registry_service.storage.paths import ApartImageId


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


@main.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be done; nothing is written.")
@click.option(
    "--keep-days",
    metavar="N",
    type=click.FloatRange(0),
    default=0.0,
    help="Keep what a tag reached within N days.",
)
@click.option(
    "--pace", metavar="N", type=click.FloatRange(0, min_open=True), help="At most N operations of the store a second."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def gc(dry_run: bool, keep_days: float, pace: float | None, as_json: bool) -> None:
    """Delete the images that no tag reaches, while everything runs.

    The first collection that finds an image unreachable only condemns it; one that comes at least upload_seconds, and N
    days, later deletes it, if nobody has pushed, tagged or asked for it since. May be interrupted and begun again.
    """
    with _one_line_errors():
        settings, driver = _open()
        slow = driver if pace is None else Paced(driver, pace)
        grace = max(settings.upload_seconds, LEAST_GRACE_SECONDS, keep_days * 86400)
        push = create_registry(settings, slow).push
        found = Collector(slow, push, grace, is_dry_run=dry_run, tell=_tell_step).run()
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        click.echo("\n".join(_lines_of_collection(found, is_dry_run=dry_run)))


def _tell_step(step: str) -> None:
    if sys.stderr.isatty():
        click.echo(step, err=True)


def _lines_of_collection(found: Collection, *, is_dry_run: bool) -> Iterator[str]:
    would = "would be " if is_dry_run else ""
    yield f"{found.images} images, {found.reached} of them reached"
    yield f"{found.condemned} ({found.condemned_bytes} bytes) {would}condemned"
    yield f"{found.waiting} ({found.waiting_bytes} bytes) condemned before, to be deleted in time"
    if is_dry_run:
        yield f"{found.ripe} ({found.ripe_bytes} bytes) would be deleted now"
    else:
        yield f"{found.deleted} ({found.deleted_bytes} bytes) deleted"
        yield f"{found.uploads} unfinished uploads dropped, {found.holdings} holdings of images that are gone"
    for space in found.repositories:
        if space.before != space.after:
            yield f"{space.repository}: {space.before} bytes before, {space.after} after"
    for path in found.unknown:
        yield f"left alone, for it is no image's: {path}"


@main.command("repositories")
def list_repositories() -> None:
    """List the repositories of the store by name, one a line, as `wharfinger-index reindex --take-over OWNER -` reads
    them.
    """
    with _one_line_errors():
        _, driver = _open()
        for name in sorted(Repositories(driver, Tags(driver, Images(driver))).all()):
            click.echo(str(name))


_repositories = click.argument("repositories", metavar="[REPOSITORY]...", nargs=-1)
_all = click.option("--all", "is_all", is_flag=True, help="All repositories of the store.")
_workers = click.option("--workers", type=click.IntRange(1, 64), default=os.cpu_count() or 1, help="Images at a time.")
_each_as_json = click.option("--json", "as_json", is_flag=True, help="Tell of each tag as JSON, for programs.")


@main.command()
@_repositories
@_all
@_workers
@click.option("--dry-run", is_flag=True, help="Store nothing; only tell what cannot be translated.")
@_each_as_json
def translate(repositories: tuple[str, ...], is_all: bool, workers: int, dry_run: bool, as_json: bool) -> None:
    """Translate what the tags of each REPOSITORY name for today's clients, before the first of them asks for it.

    Reads each layer once. May be interrupted and begun again; fails where a tag cannot be translated.
    """
    with _one_line_errors():
        translating = _Translating(workers, dry_run=dry_run)
        names = translating.chosen(repositories, is_all=is_all)
        reports = list(translating.bulk.run(names, workers, _show_progress))
    _show_translations(reports, "translated", as_json=as_json)


@main.command()
@click.argument("target", metavar="oci:FOLDER|URL")
@_repositories
@_all
@_workers
@_each_as_json
@click.option("--insecure", is_flag=True, help="Send by plain HTTP, also the password, if URL begins with http://.")
def export(
    target: str, repositories: tuple[str, ...], is_all: bool, workers: int, as_json: bool, insecure: bool
) -> None:
    """Export what the tags of each REPOSITORY name, for registries and tools of today.

    To oci:FOLDER, an OCI image layout, where each is named REPOSITORY:TAG; layers of a store of files are linked. Or
    to the registry at URL, as in https://new.example or https://new.example/team, by /v2/: only what it lacks is sent,
    and afterwards it is asked for each tag. The login is taken from WHARFINGER_EXPORT_USER and
    WHARFINGER_EXPORT_PASSWORD, or from the file of `docker login` or `skopeo login`.

    Layers are verified. May be interrupted and begun again; fails where a tag cannot be exported.
    """
    kind, _, place = target.partition(":")
    if kind not in ("oci", "http", "https") or not place:
        raise click.UsageError("Give the target as oci:FOLDER or https://HOST[:PORT][/PREFIX].")
    with _one_line_errors():
        translating = _Translating(workers)
        names = translating.chosen(repositories, is_all=is_all)
        if kind == "oci":
            exported = Export(Layout(Path(place)), translating.images, translating.translations, translating.bulk)
            reports: Sequence[TagReport] = exported.run(names, workers, _show_progress)
        else:
            address = RegistryAddress.parse(target, may_be_plain=insecure)
            reports = translating.remote_export(address, insecure).run(
                names, translating.repositories.all(), workers, _show_progress
            )
    _show_translations(reports, "exported", as_json=as_json)


@main.command("import")
@click.argument("source", metavar="oci:FOLDER[:NAME]|docker-archive:FILE[:NAME]")
@click.argument("name", metavar="REPOSITORY[:TAG]")
def import_image(source: str, name: str) -> None:
    """Import an image that Skopeo, Podman, Buildah or Docker saved, for daemons that pull by v1.

    SOURCE is an OCI image layout or a docker-archive; NAME tells which image of several. All is verified before
    anything of it can be seen. The ids are those with which Docker would push the image by v1; today's clients get it
    with the id that it has.
    """
    kind, _, place = source.partition(":")
    path, _, reference = place.partition(":")
    if kind not in ("oci", "docker-archive") or not path:
        raise click.UsageError("Give the source as oci:FOLDER[:NAME] or docker-archive:FILE[:NAME].")
    named, _, tagged = name.partition(":")
    with _one_line_errors():
        repository, tag = RepositoryName.parse(named), Tag(tagged or LATEST)
        settings, driver = _open()
        registry = create_registry(settings, driver)
        registry.require_writable(repository)
        registry.require_creatable(repository, tag)
        saved = (read_layout if kind == "oci" else read_archive)(Path(path), reference)
        imported = _importing(registry, driver).run(saved, repository, tag, _holder(registry, repository))
    click.echo(
        f"{repository}:{tag} is image {imported.image}: {imported.stored} layers stored, {imported.there} known before"
    )
    if registry.index is not None:
        click.echo(f"The index does not know it yet: wharfinger-index reindex [--take-over OWNER] {repository}")


def _importing(registry: Registry, driver: Driver) -> Import:
    """Tags and repositories are those of the store: a mirror would ask its sources."""
    tags = Tags(driver, registry.images)
    repositories = Repositories(driver, tags) if registry.index is None else None
    return Import(
        registry.push, registry.images, registry.holdings, tags, registry.intents, registry.translations, repositories
    )


def _holder(registry: Registry, repository: RepositoryName) -> Holder:
    return EVERYBODY if registry.index is None else RepositoryHolder(registry.holdings, repository)


class _Translating:
    """What translates the configured store. Tags and repositories are read there: a mirror would ask its sources."""

    def __init__(self, workers: int, *, dry_run: bool = False) -> None:
        settings, driver = _open()
        registry = create_registry(settings, driver)
        written = DryRun(driver) if dry_run else driver
        records = Records(written)
        tags = Tags(driver, registry.images)
        self.repositories = Repositories(driver, tags)
        self.images = registry.images
        self.translations = Translations(written, registry.images, records, at_once=workers)
        self.bulk = BulkTranslation(self.translations, records, tags, registry.holdings)

    def chosen(self, repositories: tuple[str, ...], *, is_all: bool) -> list[RepositoryName]:
        if is_all == bool(repositories):
            raise click.UsageError("Give repositories, or --all.")
        return sorted(self.repositories.all()) if is_all else [RepositoryName.parse(name) for name in repositories]

    def remote_export(self, address: RegistryAddress, may_be_plain: bool) -> RemoteExport:
        """Raises Invalid, and where the registry does not answer."""
        client = RemoteClient(address, login_at(address.host, os.environ), may_be_plain=may_be_plain)
        client.ping()
        return RemoteExport(address, RemoteRegistry(client), self.images, self.translations, self.bulk)


def _show_progress(done: int, all_: int) -> None:
    """On one line of a terminal, over and over; for anything else only the end."""
    is_last = done == all_
    if is_last or sys.stderr.isatty():
        click.echo(f"\r{done} of {all_} images", err=True, nl=is_last)


def _show_translations(reports: Sequence[TagReport], done: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([{**asdict(one), "repository": str(one.repository)} for one in reports], indent=2))
    else:
        click.echo("\n".join(_lines_of_translations(reports, done)))
    failed = sum(one.outcome is Outcome.FAILED for one in reports)
    if failed:
        raise click.ClickException(f"{failed} of {len(reports)} tags cannot be {done}")


def _lines_of_translations(reports: Sequence[TagReport], done: str) -> Iterator[str]:
    for one in reports:
        for told in filter(None, (one.problem, *one.notes)):
            yield f"{one.repository}:{one.tag}: {told}"
    counts = Counter(one.outcome for one in reports)
    yield f"{counts.total() - counts[Outcome.FAILED]} tags {done}, {counts[Outcome.KNOWN]} known before"
    sent = [one.sent for one in reports if isinstance(one, RemoteReport) and one.sent is not None]
    if sent:
        yield _line_of_blobs(sent)


def _line_of_blobs(sent: Sequence[Sent]) -> str:
    blobs = sum((Counter(one.blobs) for one in sent), Counter[str]())
    tags, size = sum(one.was_there for one in sent), sum(one.sent_bytes for one in sent)
    return f"{tags} tags were there before; {blobs['sent']} blobs ({size} bytes) sent, {blobs['mounted']} mounted"


@main.group()
def image() -> None:
    """Look at, remove or replace one image of the store, for instance a poisoned or broken one.

    Registries that run may serve what they remember of it for five minutes.
    """


_dry_run = click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@image.command("show")
@click.argument("image_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def show_image(image_id: str, as_json: bool) -> None:
    """Show image ID, and what refers to it: repositories, and images based on it. Reads the whole store."""
    with _one_line_errors(), _repairing() as repair:
        report = repair.report(ImageId(image_id))
    click.echo(json.dumps(_as_json(report), indent=2) if as_json else _as_text(report))


@image.command("remove")
@click.argument("image_id", metavar="ID")
@click.option("--apart", metavar="REPOSITORY", help="The one that REPOSITORY keeps apart, instead of the shared one.")
@_dry_run
@_yes
def remove_image(image_id: str, apart: str | None, dry_run: bool, yes: bool) -> None:
    """Remove image ID. Tags that reach it stay, and cannot be pulled until somebody pushes the image again."""
    with _one_line_errors(), _repairing() as repair:
        target = _located(image_id, apart)
        if not _agreed(repair.report(ImageId(image_id)), "Remove it?", dry_run=dry_run, yes=yes):
            return
        repair.remove(target)
    click.echo("Removed.")


@image.command("replace")
@click.argument("image_id", metavar="ID")
@click.option("--from", "source", metavar="REPOSITORY", help="By the one that REPOSITORY keeps apart.")
@click.option("--description", type=click.Path(exists=True, dir_okay=False), help="By this file as its JSON,")
@click.option("--layer", type=click.Path(exists=True, dir_okay=False), help="and this file as its layer.")
@_dry_run
@_yes
def replace_image(
    image_id: str, source: str | None, description: str | None, layer: str | None, dry_run: bool, yes: bool
) -> None:
    """Replace the shared image ID for all repositories that hold it."""
    if (source is None) == (description is None or layer is None):
        raise click.UsageError("Give --from, or --description and --layer.")
    with _one_line_errors(), _repairing() as repair:
        if not _agreed(repair.report(ImageId(image_id)), "Replace it?", dry_run=dry_run, yes=yes):
            return
        if source is not None:
            repair.replace_by(ImageId(image_id), RepositoryName.parse(source))
        else:
            repair.replace(ImageId(image_id), Path(str(description)).read_bytes(), _blocks(Path(str(layer))))
    click.echo("Replaced.")


@contextmanager
def _repairing() -> Iterator[ImageRepair]:
    settings, driver = _open()
    registry = create_registry(settings, driver)
    # Tags and repositories as the store has them: a mirror would ask its sources.
    tags = Tags(driver, registry.images)
    repositories = Repositories(driver, tags)
    yield ImageRepair(driver, registry.images, registry.push, registry.holdings, tags, repositories)


def _located(image_id: str, apart: str | None) -> ImageId:
    plain = ImageId(image_id)
    return plain if apart is None else ApartImageId(plain, RepositoryName.parse(apart))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(PIECE):
            yield block


def _as_json(report: Report) -> dict[str, Any]:
    references = [{**asdict(one), "repository": str(one.repository)} for one in report.references]
    return {**asdict(report), "references": references}


def _agreed(report: Report, question: str, *, dry_run: bool, yes: bool) -> bool:
    """Tell what refers to the image; whether it is to be done."""
    click.echo(_as_text(report))
    return not dry_run and (yes or click.confirm(question))


def _as_text(report: Report) -> str:
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"{'image':<14} {report.image}"
    yield f"{'layer':<14} {'not complete' if report.size is None else f'{report.size} bytes'}"
    for checksum in report.checksums:
        yield f"{'checksum':<14} {checksum}"
    for one in report.references:
        tags = ", ".join(one.tags) if one.tags else "no tag"
        yield f"{'held by':<14} {one.repository}: {tags}{', an image of its own' if one.is_apart else ''}"
    for child in report.children:
        yield f"{'based on it':<14} {child}"


if __name__ == "__main__":
    main()
