"""The reader of a registry's images: which of them a repository holds, and the metadata of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from sqlalchemy.orm import Session

from common.errors import Failure, NotFound
from common.names import ImageId
from common.tokens import Token
from index_service.database import Database
from index_service.db import Clock
from index_service.images import image_metadata, image_store
from index_service.images.image_metadata import ImageMetadata
from index_service.images.image_store import BATCH_SIZE
from index_service.registry_client import RegistryClient, RegistryFailed
from index_service.repositories import catalogue, holdings
from index_service.repositories.models import Repository
from index_service.services.registry_tokens import RegistryTokens

Heartbeat = Callable[[], None]
"""Called between two questions of a long piece of work; what it raises ends the work there."""


class OtherStore(RegistryFailed):
    """The registry has another store than the one that was recorded."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "answers from another store than before")


class MetadataReader:
    """Reads from registries what repositories hold, and stores it."""

    def __init__(self, database: Database, tokens: RegistryTokens, registries: RegistryClient, clock: Clock) -> None:
        self._database = database
        self._tokens = tokens
        self._registries = registries
        self._clock = clock

    def read(
        self, repository: Repository, tagged: Iterable[ImageId], *, everything: bool, heartbeat: Heartbeat
    ) -> tuple[int, int]:
        """Read what these images, at which the registry's tags point, are made of: what is not recorded yet, or with
        `everything` all of it. Returns the number of images described, and of those that the registry lacks."""
        missing = self._read_ancestries(repository, sorted(set(tagged)), heartbeat, everything=everything)
        read, undescribed = self._read_metadata(repository, heartbeat, everything=everything)
        self._read_sizes(repository, heartbeat, everything=everything)
        with self._database.writing() as session:
            image_store.sum_layers(session, [repository.id])
        return read, missing + undescribed

    def look_up(self, repositories: Iterable[Repository], image: ImageId) -> None:
        """Record at once which of these repositories hold an image, for whoever cannot wait for their jobs."""
        for repository in repositories:
            with suppress(Failure):
                self._read_ancestry(repository, *self._tokens.to_read(repository), image)

    def _read_ancestries(
        self, repository: Repository, images: Sequence[ImageId], heartbeat: Heartbeat, *, everything: bool
    ) -> int:
        """Record what tags reach as held: all of it where the store of the registry is not known, or is another than it
        was. Returns how many images the registry lacks.
        """
        everything = everything or repository.store is None
        try:
            return self._read_batches(repository, images, heartbeat, everything=everything)
        except OtherStore:
            return self._read_batches(repository, images, heartbeat, everything=True)

    def _read_batches(
        self, repository: Repository, images: Sequence[ImageId], heartbeat: Heartbeat, *, everything: bool
    ) -> int:
        missing = 0
        for batch in _batches(images):
            with self._database.reading() as session:
                done = set() if everything else holdings.held(session, repository.id, batch)
            wanted = [image for image in batch if image not in done]
            if not wanted:
                continue
            endpoint, token = self._tokens.to_read(repository)
            for image in wanted:
                heartbeat()
                missing += not self._read_ancestry(repository, endpoint, token, image)
        return missing

    def _read_ancestry(self, repository: Repository, endpoint: str, token: Token, image: ImageId) -> bool:
        """Returns whether the registry has the image. Raises OtherStore where what was recorded has been forgotten."""
        try:
            found = self._registries.ancestry(endpoint, token, image)
        except NotFound:
            return False
        with self._database.writing() as session:
            locked = catalogue.lock(session, repository.full_name)
            if locked is None or locked.id != repository.id:
                return True
            if found.store is None and locked.store is not None:
                raise RegistryFailed(endpoint, "names no store, as it did before")
            is_other = holdings.settle_store(session, locked, found.store)
            foreign = image_store.foreign(session, found.images[found.apart :], locked.store)
            holdings.record(session, repository.id, found.images, found.apart, self._clock(), foreign)
        if is_other:
            raise OtherStore(endpoint)
        return True

    def _read_metadata(self, repository: Repository, heartbeat: Heartbeat, *, everything: bool) -> tuple[int, int]:
        read = missing = 0
        after = ""
        while True:
            with self._database.reading() as session:
                wanted = image_store.unknown(session, repository.id, after=after, everything=everything)
            if not wanted:
                return read, missing
            found = self._describe_all(repository, wanted, heartbeat)
            with self._database.writing() as session:
                image_store.record(session, found, self._clock(), _store(session, repository))
            read, missing, after = read + len(found), missing + len(wanted) - len(found), wanted[-1]

    def _read_sizes(self, repository: Repository, heartbeat: Heartbeat, *, everything: bool) -> None:
        """Read the bytes of what the repository keeps apart: they count against the quota of its namespace. An image of
        another store may turn out to be the described one.
        """
        after = ""
        while True:
            with self._database.reading() as session:
                wanted = image_store.unsized(session, repository.id, after=after, everything=everything)
            if not wanted:
                return
            found = self._describe_all(repository, wanted, heartbeat)
            with self._database.writing() as session:
                image_store.record_sizes(session, repository.id, {fact.image_id: fact.size for fact in found})
                image_store.recognise(session, repository.id, found)
            after = wanted[-1]

    def _describe_all(self, repository: Repository, ids: list[str], heartbeat: Heartbeat) -> list[ImageMetadata]:
        endpoint, token = self._tokens.to_read(repository)
        found = []
        for id_ in ids:
            heartbeat()
            fact = self._describe(endpoint, token, ImageId(id_))
            if fact is not None:
                found.append(fact)
        return found

    def _describe(self, endpoint: str, token: Token, image: ImageId) -> ImageMetadata | None:
        try:
            described = self._registries.describe(endpoint, token, image)
        except NotFound:
            return None
        return image_metadata.parse(image, described.json, described.size, described.checksums)


def _store(session: Session, repository: Repository) -> str | None:
    """As it is now, after its ancestries were read."""
    now = session.get(Repository, repository.id)
    return None if now is None else now.store


def _batches(images: Sequence[ImageId]) -> Iterator[Sequence[ImageId]]:
    for start in range(0, len(images), BATCH_SIZE):
        yield images[start : start + BATCH_SIZE]
