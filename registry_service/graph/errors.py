"""What can be wrong with images, tags and pushes, in the words daemons know (protocol §3.3 to §3.9)."""

from __future__ import annotations

from typing import ClassVar

from common.errors import Conflict, Failure, Invalid, NotFound, Unavailable


class _Said(Failure):
    """A failure whose words are settled, unless the one who raises it knows better."""

    words: ClassVar[str]

    def __init__(self, words: str | None = None) -> None:
        super().__init__(words or self.words)


class ImageNotFound(_Said, NotFound):
    """Absent, or not complete yet: whoever pushes it may, whoever pulls cannot."""

    words = "Image not found"


class RepositoryNotFound(_Said, NotFound):
    words = "Repository not found"


class TagNotFound(_Said, NotFound):
    words = "Tag not found"


class ImageExists(_Said, Conflict):
    """Daemons compare these words exactly, and take them as success (protocol §0.10)."""

    words = "Image already exists"


class ImageBusy(_Said, Unavailable):
    words = "Image is being uploaded, retry later"


class RepositoryBusy(_Said, Unavailable):
    words = "Repository is being changed, retry later"


class CollectionRunning(_Said, Unavailable):
    words = "Another collection of this store is running"


class InvalidDescription(_Said, Invalid):
    """An image's JSON that is none."""

    words = "Invalid JSON"


class UnknownParent(_Said, Invalid):
    words = "Image depends on a non existing parent"


class LayerEmpty(_Said, Invalid):
    words = "Layer is empty: even a tar of nothing has 1024 bytes"


class LayerMissing(_Said, Invalid):
    words = "Layer has not been received: send it before its checksum"


class ChecksumMissing(_Said, Invalid):
    words = "Missing Image's checksum"


class ChecksumMismatch(_Said, Invalid):
    words = "Checksum mismatch"


class LayerUnreadable(_Said, Invalid):
    """A layer that is no tar, or one we do not unpack."""

    words = "Layer format not supported"
