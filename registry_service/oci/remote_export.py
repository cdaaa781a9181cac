"""Export of translated images to another registry, which it has by the digests that `/v2/` of this one says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from common.errors import Invalid
from common.names import RepositoryName, Tag
from registry_service.graph.images import Images
from registry_service.oci.bulk import BulkTranslation, Progress, Tagged, TagReport
from registry_service.oci.remote_client import RegistryAddress
from registry_service.oci.remote_registry import Came, RemoteRegistry
from registry_service.oci.translation import LayerBlob, Translated, Translations


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What it took to bring one tag: blobs by how they came, bytes sent, and whether the tag was as it is before."""

    blobs: dict[str, int]
    sent_bytes: int
    was_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteReport(TagReport):
    """What came of one tag, and its name at the other registry; `sent` is None where it could not be brought."""

    target: str | None
    sent: Sent | None


class RemoteExport:
    """Brings what the tags of repositories name to another registry."""

    def __init__(
        self,
        address: RegistryAddress,
        registry: RemoteRegistry,
        images: Images,
        translations: Translations,
        bulk: BulkTranslation,
    ) -> None:
        self._address = address
        self._registry = registry
        self._images = images
        self._translations = translations
        self._bulk = bulk
        self._names: dict[RepositoryName, str] = {}
        self._sent: dict[Tagged, Sent] = {}

    def run(
        self,
        repositories: Sequence[RepositoryName],
        all_: Iterable[RepositoryName],
        workers: int,
        progress: Progress,
    ) -> list[RemoteReport]:
        """A report for each tag. No repository takes the name there that another one of `all_` has. Raises as
        `bulk.run` does.
        """
        # Most stores have no name that leads to another one, and need not be listed.
        self._names = _names(repositories if all(each.is_creatable for each in repositories) else all_)
        return [self._report(each) for each in self._bulk.run(repositories, workers, progress, self._bring)]

    def _bring(self, translated: Translated, tagged: Tagged) -> None:
        """The manifest last: what it names is there."""
        name = self._name(tagged.repository)
        if name is None:
            raise Invalid("today's registries refuse the name of the repository, and another has it in lower case")
        if not Tag(tagged.tag).is_creatable:
            raise Invalid("today's registries refuse the name of the tag")
        came: dict[Came, list[int]] = {how: [] for how in Came}
        for blob in translated.layers:
            how = self._registry.bring_blob(name, blob.digest, blob.size, partial(self._layer, blob))
            came[how].append(blob.size)
        config = translated.config
        how = self._registry.bring_blob(name, translated.config_digest, len(config), lambda: [config])
        came[how].append(len(config))
        is_new = self._registry.bring_manifest(name, tagged.tag, translated.schema2)
        self._sent[tagged] = Sent(
            blobs={how.value: len(sizes) for how, sizes in came.items()},
            sent_bytes=sum(came[Came.SENT]),
            was_there=not is_new,
        )

    def _layer(self, blob: LayerBlob) -> Iterator[bytes]:
        with self._images.open_layer(self._translations.blob(blob.image)) as reader:
            yield from reader

    def _name(self, repository: RepositoryName) -> str | None:
        name = self._names.get(repository)
        return f"{self._address.prefix}/{name}".lstrip("/") if name else None

    def _report(self, report: TagReport) -> RemoteReport:
        name = self._name(report.repository)
        target = f"{self._address.host}/{name}:{report.tag}" if name else None
        is_renamed = name is not None and not name.endswith(str(report.repository))
        return RemoteReport(
            repository=report.repository,
            tag=report.tag,
            image=report.image,
            outcome=report.outcome,
            digest=report.digest,
            problem=report.problem,
            notes=(*report.notes, f"it is {target} there") if is_renamed else report.notes,
            target=target,
            sent=self._sent.get(Tagged(report.repository, report.tag, report.image)),
        )


def _names(repositories: Iterable[RepositoryName]) -> dict[RepositoryName, str]:
    """Each repository's name there: as people pull it, without `library/`; what registries refuse in lower case, where
    no other one has that name.
    """
    plain = {each: _plain(each) for each in repositories}
    taken = Counter(name.lower() for name in plain.values())
    names: dict[RepositoryName, str] = {}
    for repository, name in plain.items():
        lower = name.lower()
        if repository.is_creatable:
            names[repository] = name
        elif taken[lower] == 1 and RepositoryName.parse(lower).is_creatable:
            names[repository] = lower
    return names


def _plain(repository: RepositoryName) -> str:
    return repository.name if repository.is_library and "/" not in repository.name else str(repository)
