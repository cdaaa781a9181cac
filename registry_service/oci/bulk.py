"""Translation of whole repositories, ahead of the first who asks, and what of them today's clients cannot have.

It may be interrupted at any time and begun again: what is translated already is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
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


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag, and the image that it names, as its repository has it."""

    repository: RepositoryName
    tag: str
    image: ImageId


Then = Callable[[Translated, Tagged], None]
"""What is done with each tag whose image is translated, on the threads that translate. A Failure is that tag's."""


class Outcome(StrEnum):
    TRANSLATED = "translated"
    KNOWN = "known"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagReport:
    """What came of one tag: the digest of its manifest in schema 2, what failed, and what keeps clients from it."""

    repository: RepositoryName
    tag: str
    image: ImageId
    outcome: Outcome
    digest: Digest | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()


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
        then: Then = lambda *_: None,
    ) -> Iterator[TagReport]:
        """A report for each tag, in the order of names. Raises RepositoryNotFound before anything is done."""
        tagged = [each for repository in repositories for each in self._tagged(repository)]
        by_image: dict[str, list[Tagged]] = {}
        for each in tagged:
            by_image.setdefault(paths.image(each.image), []).append(each)
        done = _for_each(by_image.values(), partial(self._translate_one, then), workers, progress)
        yield from (done[each] for each in tagged)

    def _tagged(self, repository: RepositoryName) -> Iterator[Tagged]:
        for tag, id_ in sorted(self._tags.all(repository).items()):
            image = ImageId(id_)
            yield Tagged(repository, tag, self._holdings.find(repository, image) or image)

    def _translate_one(self, then: Then, tags: Sequence[Tagged]) -> dict[Tagged, TagReport]:
        """For all tags of one image."""
        image = tags[0].image
        before = self._records.image(image)
        try:
            translated = self._translations.of(image)
        except Failure as failure:
            return {each: _report(each, Outcome.FAILED, problem=failure.message) for each in tags}
        is_known = before is not None and before.oci.encode() == translated.oci.content
        outcome = Outcome.KNOWN if is_known else Outcome.TRANSLATED
        return {each: _done(then, translated, each, outcome) for each in tags}


def _for_each(
    images: Collection[Sequence[Tagged]],
    work: Callable[[Sequence[Tagged]], Mapping[Tagged, TagReport]],
    workers: int,
    progress: Progress,
) -> dict[Tagged, TagReport]:
    done: dict[Tagged, TagReport] = {}
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, tags) for tags in images]
        try:
            for number, future in enumerate(as_completed(futures), 1):
                done |= future.result()
                progress(number, len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _done(then: Then, translated: Translated, tagged: Tagged, outcome: Outcome) -> TagReport:
    try:
        then(translated, tagged)
    except Failure as failure:
        return _report(tagged, Outcome.FAILED, translated, failure.message)
    return _report(tagged, outcome, translated)


def _report(
    tagged: Tagged, outcome: Outcome, translated: Translated | None = None, problem: str | None = None
) -> TagReport:
    return TagReport(
        repository=tagged.repository,
        tag=tagged.tag,
        image=tagged.image,
        outcome=outcome,
        digest=translated.schema2.digest if translated else None,
        problem=problem,
        notes=tuple(_notes(tagged.repository, tagged.tag, translated)),
    )


def _notes(repository: RepositoryName, tag: str, translated: Translated | None) -> Iterator[str]:
    if not repository.is_creatable:
        yield "today's clients refuse the name of the repository"
    if not Tag(tag).is_creatable:
        yield "today's clients refuse the name of the tag"
    if translated is not None and len(translated.layers) > MOST_LAYERS:
        yield f"Docker refuses more than {MOST_LAYERS} layers, and these are {len(translated.layers)}"
