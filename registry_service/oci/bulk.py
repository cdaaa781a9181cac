"""Translation of whole repositories, ahead of the first who asks, and what of them today's clients cannot have.

It may be interrupted at any time and begun again: what is translated already is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from common.errors import Failure
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.holdings import Holdings
from registry_service.graph.tags import Tags
from registry_service.oci.config import MOST_LAYERS
from registry_service.oci.digests import Digest
from registry_service.oci.records import Records
from registry_service.oci.translation import Translated, Translations
from registry_service.storage import paths

Progress = Callable[[int, int], None]
"""Told how many images of how many are done."""

Then = Callable[[Translated], None]
"""What is done with each image that is translated, on the threads that translate."""


class Outcome(StrEnum):
    TRANSLATED = "translated"
    KNOWN = "known"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagReport:
    """What came of one tag: the digest of its manifest in schema 2, or why there is none; and what keeps clients from
    it."""

    repository: RepositoryName
    tag: str
    image: ImageId
    outcome: Outcome
    digest: Digest | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Done:
    outcome: Outcome
    translated: Translated | None = None
    problem: str | None = None


class BulkTranslation:
    """Translates what the tags of repositories name."""

    def __init__(self, translations: Translations, records: Records, tags: Tags, holdings: Holdings) -> None:
        self._translations = translations
        self._records = records
        self._tags = tags
        self._holdings = holdings

    def run(
        self,
        repositories: Iterable[RepositoryName],
        workers: int,
        progress: Progress,
        then: Then = lambda _: None,
    ) -> Iterator[TagReport]:
        """A report for each tag, in the order of names. Raises RepositoryNotFound before anything is done."""
        tagged = [each for repository in repositories for each in self._tagged(repository)]
        work = partial(self._translate_one, then)
        done = _for_each({paths.image(image): image for _, _, image in tagged}, work, workers, progress)
        for repository, tag, image in tagged:
            yield _report(repository, tag, image, done[paths.image(image)])

    def _tagged(self, repository: RepositoryName) -> Iterator[tuple[RepositoryName, str, ImageId]]:
        for tag, id_ in sorted(self._tags.all(repository).items()):
            image = ImageId(id_)
            yield repository, tag, self._holdings.find(repository, image) or image

    def _translate_one(self, then: Then, image: ImageId) -> _Done:
        before = self._records.image(image)
        try:
            translated = self._translations.of(image)
            then(translated)
        except Failure as failure:
            return _Done(Outcome.FAILED, problem=failure.message)
        is_known = before is not None and before.oci.encode() == translated.oci.content
        return _Done(Outcome.KNOWN if is_known else Outcome.TRANSLATED, translated)


def _for_each(
    images: Mapping[str, ImageId], work: Callable[[ImageId], _Done], workers: int, progress: Progress
) -> dict[str, _Done]:
    done: dict[str, _Done] = {}
    with ThreadPoolExecutor(workers) as pool:
        futures: dict[Future[_Done], str] = {pool.submit(work, image): path for path, image in images.items()}
        try:
            for future in as_completed(futures):
                done[futures[future]] = future.result()
                progress(len(done), len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _report(repository: RepositoryName, tag: str, image: ImageId, done: _Done) -> TagReport:
    return TagReport(
        repository=repository,
        tag=tag,
        image=image,
        outcome=done.outcome,
        digest=done.translated.schema2.digest if done.translated else None,
        problem=done.problem,
        notes=tuple(_notes(repository, tag, done.translated)),
    )


def _notes(repository: RepositoryName, tag: str, translated: Translated | None) -> Iterator[str]:
    if not repository.is_creatable:
        yield "today's clients refuse the name of the repository"
    if not Tag(tag).is_creatable:
        yield "today's clients refuse the name of the tag"
    if translated is not None and len(translated.layers) > MOST_LAYERS:
        yield f"Docker refuses more than {MOST_LAYERS} layers, and these are {len(translated.layers)}"
