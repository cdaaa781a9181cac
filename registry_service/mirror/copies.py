"""The copies in one store: which repositories are copies of a source's, when they were compared, and what they hold.

An image id is one name for all sources. So a copy holds an image only once it was fetched from the copy's own source,
or found to be what that source offers, and each such image is marked; what the sources of others brought under its id
is kept from it by the same means as what strangers push (see `graph.holdings`). A mark is no right: who may read what
is for the gate to say.

An object `_mirrored` makes a repository a copy, with the timestamp of the last comparison of its tags. A repository
without it was pushed here: it is never compared, and never changed. Before there were marks, a copy held what its tags
reach; such a copy has them made once.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from common.cache import Cache
from common.names import ImageId, RepositoryName
from registry_service.graph.copy_records import CopyRecord, read_copy, write_copy
from registry_service.graph.errors import ImageNotFound
from registry_service.graph.holdings import Holder, Holdings, RepositoryHolder
from registry_service.graph.images import Images
from registry_service.graph.tags import Tags
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound

_HELD_SECONDS = 5.0
"""How long it is cached that a copy holds an image: a pull reads JSON and layer of each."""

_CACHED_HOLDINGS = 65536


class Copies:
    """The copies of one store."""

    def __init__(self, driver: Driver, images: Images, tags: Tags, holdings: Holdings) -> None:
        """`tags` are those of the store."""
        self._driver = driver
        self._images = images
        self._tags = tags
        self._holdings = holdings
        self._held: Cache[tuple[RepositoryName, ImageId], ImageId] = Cache(_CACHED_HOLDINGS, _HELD_SECONDS)

    def is_own(self, repository: RepositoryName) -> bool:
        """Whether the repository was pushed here.

        Looked for once more, because another process may have begun to write its copy meanwhile.
        """
        return self._read(repository) is None and self._tags.exists(repository) and self._read(repository) is None

    def compared(self, repository: RepositoryName) -> float | None:
        """When a copy was last compared, epoch seconds, 0 for never; None for what is no copy."""
        record = self._read(repository)
        return None if record is None else record.compared

    def begin(self, repository: RepositoryName) -> None:
        """Make a repository a copy before anything of it is written, and mark what it holds of old.

        First, or a crash in between would leave a repository that looks as if it were our own.
        """
        record = self._read(repository)
        if record is None:
            self.record(repository, 0)
        elif not record.is_marked:
            self._mark_all(repository)

    def record(self, repository: RepositoryName, compared: float) -> None:
        """That a copy, all of whose images are marked, was compared."""
        write_copy(self._driver, repository, compared)

    def forget(self, repository: RepositoryName) -> None:
        """Gone at the source; its shared images stay, as with every repository that is deleted."""
        if self._read(repository) is not None:
            for path in (paths.apart_images(repository), paths.repository(repository)):
                with suppress(PathNotFound):
                    self._driver.delete(path)

    def find(self, repository: RepositoryName, image: ImageId) -> ImageId | None:
        """The image as a copy holds it, shared or apart; None where it does not, or for what is no copy."""
        found = self._held.get((repository, image))
        if found is None:
            found = self._holdings.marked(repository, image)
            if found is None and self._mark_all(repository):
                found = self._holdings.marked(repository, image)
            if found is not None:
                self._held.put((repository, image), found)
        return found

    def find_complete(self, repository: RepositoryName, image: ImageId) -> ImageId | None:
        """As `find`; None also where the image is not complete any more."""
        found = self.find(repository, image)
        return found if found is not None and self._images.is_complete(found) else None

    def keep(self, repository: RepositoryName, image: ImageId, checksums: Iterable[str]) -> None:
        """Mark an image, shared or apart, as what the copy's source offers under its id."""
        self.begin(repository)
        self._holdings.keep(repository, image, checksums, is_fetched=True)
        self._held.discard((repository, image))

    def holder(self, repository: RepositoryName) -> Holder:
        """A copy as the holder of what is fetched for it."""
        return _CopyHolder(self, self._holdings, repository)

    def _mark_all(self, repository: RepositoryName) -> bool:
        """Mark what a copy without marks holds: what its tags reach. Whether there was anything to do."""
        if not self._is_unmarked(repository):
            return False
        reached = [ImageId(id_) for id_ in self._holdings.reached(repository)]
        # Tags are changed only once all is marked: those that were read before this are as they were of old.
        if self._is_unmarked(repository):
            for image in reached:
                with suppress(ImageNotFound):
                    self._holdings.keep(repository, image, self._images.checksums(image), is_fetched=True)
            self.record(repository, self.compared(repository) or 0)
        return True

    def _is_unmarked(self, repository: RepositoryName) -> bool:
        record = self._read(repository)
        return record is not None and not record.is_marked

    def _read(self, repository: RepositoryName) -> CopyRecord | None:
        return read_copy(self._driver, repository)


class _CopyHolder(RepositoryHolder):
    """A copy as the holder of what is fetched for it."""

    def __init__(self, copies: Copies, holdings: Holdings, repository: RepositoryName) -> None:
        super().__init__(holdings, repository)
        self._copies = copies
        self._copy = repository

    def find(self, image: ImageId) -> ImageId | None:
        return self._copies.find(self._copy, image)

    def keep(self, image: ImageId, checksums: Iterable[str]) -> None:
        self._copies.keep(self._copy, image, checksums)
