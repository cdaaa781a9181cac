"""An OCI image layout: a folder of blobs with an index of what is tagged, which every tool of today reads.

A blob appears whole or not at all, and one that is there is not written again, so an export that was interrupted goes
on where it was. Layers are hard links to the files of the store where they can be, and copies otherwise.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from common.errors import Invalid, Unavailable
from registry_service.oci.digests import Digest, verified
from registry_service.oci.manifests import OCI
from registry_service.storage.driver import BLOCK
from registry_service.storage.filesystem import make_directory, sync_directory

INDEX = "application/vnd.oci.image.index.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"

_LAYOUT = "oci-layout"
_VERSION = {"imageLayoutVersion": "1.0.0"}

_COMPONENT = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_REFERENCE = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")


def is_reference(text: str) -> bool:
    """Whether tools can name an image of a layout so."""
    return _REFERENCE.fullmatch(text) is not None


class Layout:
    """One folder, written by one process at a time, from any thread. Methods raise Unavailable where it cannot be
    written to.
    """

    def __init__(self, folder: Path) -> None:
        """Raises Invalid for a folder that has something else in it."""
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"
        with _in_words():
            if folder.exists() and any(folder.iterdir()) and not (folder / _LAYOUT).exists():
                raise Invalid(f"{folder} has something in it that is no OCI image layout")
            make_directory(self._blobs)
            for leftover in folder.glob("*.part"):
                leftover.unlink()
        self._put(folder / _LAYOUT, [json.dumps(_VERSION).encode()])

    def has(self, digest: Digest, size: int) -> bool:
        """Whether a blob is there, which was verified when it came."""
        with suppress(FileNotFoundError):
            return self._path(digest).stat().st_size == size
        return False

    def add(self, content: bytes) -> None:
        """Have a small blob."""
        digest = Digest.of(content)
        if not self.has(digest, len(content)):
            self._put(self._path(digest), [content])

    def link(self, digest: Digest, source: Path) -> bool:
        """Have the blob that a file is; False where the file cannot be linked to. Raises Unavailable for another."""
        with _in_words(), self._staged() as staged:
            try:
                os.link(source, staged)
            except OSError:
                return False
            with staged.open("rb", buffering=0) as file:
                for _ in verified(digest, iter(lambda: file.read(BLOCK), b"")):
                    pass
            _place(staged, self._path(digest))
        return True

    def copy(self, digest: Digest, blocks: Iterable[bytes]) -> None:
        """Have the blob that these blocks are. Raises Unavailable for another."""
        self._put(self._path(digest), verified(digest, blocks))

    def name(self, manifests: Mapping[str, bytes]) -> None:
        """Give names to OCI manifests whose blobs are there; what had one of these names has it no more."""
        path = self._folder / "index.json"
        with _in_words():
            kept = [each for each in _manifests_in(path) if each.get("annotations", {}).get(REF_NAME) not in manifests]
            named = [_descriptor(name, content) for name, content in manifests.items()]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": kept + named}
        self._put(path, [json.dumps(index, indent=1).encode()])

    def _path(self, digest: Digest) -> Path:
        return self._blobs / digest.hex

    def _put(self, path: Path, blocks: Iterable[bytes]) -> None:
        with _in_words(), self._staged() as staged:
            with staged.open("wb") as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
            _place(staged, path)

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """A new name on the way to its own; what is left there is removed."""
        staged = self._folder / f"{uuid.uuid4().hex}.part"
        try:
            yield staged
        finally:
            staged.unlink(missing_ok=True)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{error.filename or 'The layout'} cannot be written: {error.strerror}") from error


def _place(staged: Path, path: Path) -> None:
    """Give a whole file its name for good: what has one is not written again."""
    staged.replace(path)
    sync_directory(path.parent)


def _manifests_in(index: Path) -> list[dict[str, Any]]:
    try:
        manifests: list[dict[str, Any]] = json.loads(index.read_bytes())["manifests"]
    except FileNotFoundError:
        return []
    except (ValueError, LookupError, TypeError) as error:
        raise Invalid(f"{index} is no index of an OCI image layout") from error
    return manifests


def _descriptor(name: str, content: bytes) -> dict[str, Any]:
    return {
        "mediaType": OCI.manifest,
        "digest": Digest.of(content),
        "size": len(content),
        "annotations": {REF_NAME: name},
    }
