"""What the ids of collected images stood for: an id keeps its content for those who held it.

Repositories, and an index, remember what they held for longer than a collection keeps it. Where somebody brings other
content under the id of a collected image, it is not what these held, so it is kept apart for who brings it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from common.names import ImageId
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound


class Collected:
    """The collected images of one store. One process at a time records."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def record(self, images: Mapping[ImageId, Iterable[str]]) -> None:
        """Record images that are about to be deleted, with their checksums."""
        by_path: dict[str, list[ImageId]] = {}
        for image in images:
            by_path.setdefault(paths.collected(image), []).append(image)
        for path, several in by_path.items():
            known = dict.fromkeys(self._lines(path))
            known.update(dict.fromkeys(" ".join([image, *sorted(images[image])]) for image in several))
            self._driver.put(path, "".join(f"{line}\n" for line in known).encode())

    def permits(self, image: ImageId, checksum: str) -> bool:
        """Whether the id is new, or stood for content of this checksum each time."""
        stood = [line.split()[1:] for line in self._lines(paths.collected(image)) if line.split()[0] == image]
        return all(checksum in checksums for checksums in stood)

    def _lines(self, path: str) -> list[str]:
        try:
            return self._driver.get(path).decode().splitlines()
        except PathNotFound:
            return []
