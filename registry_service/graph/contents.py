"""File listings of layers, and their diffs to the layers below (protocol §3.8).

Both are computed once and stored beside the layer, in docker-registry's format.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from common.cache import Cache
from common.names import ImageId
from registry_service.graph import tar
from registry_service.graph.errors import ImageNotFound, LayerUnreadable
from registry_service.graph.unpack import unpacked
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Offload, PathNotFound, StorageProblem

Entry = list[Any]
"""`[name, type, is_deleted, size, mtime, mode, uid, gid]`."""

AT_ONCE = 2
"""The limit of listings computed concurrently: each occupies a core, and may take a hundred MiB."""

UNREADABLE_SECONDS = 600.0
"""How long a layer that cannot be listed is known as such: finding out takes a second of CPU for a bomb, and anybody
may ask again. A layer of its id that replaces it in another process is listed no earlier.
"""
_UNREADABLE_LAYERS = 10_000

_WHITEOUT = ".wh."
_AUFS = ".wh..wh."
_WHITEOUT_KEPT = (b"/.wh.", b'".wh.')

_LETTERS = {
    tar.REGULAR: "f",
    tar.OLD_REGULAR: "f",
    tar.HARD_LINK: "l",
    tar.SYMLINK: "s",
    tar.CHARACTER: "c",
    tar.BLOCK_DEVICE: "b",
    tar.DIRECTORY: "d",
    tar.FIFO: "i",
    tar.CONTIGUOUS: "t",
    tar.SPARSE: "S",
}

logger = logging.getLogger(__name__)


class Contents:
    """Listings and diffs of the layers of one store."""

    def __init__(self, driver: Driver, offload: Offload) -> None:
        self._driver = driver
        self._offload = offload
        self._working = threading.Semaphore(AT_ONCE)
        # By the layer's path: what is wrong with it.
        self._unreadable: Cache[str, str] = Cache(_UNREADABLE_LAYERS, UNREADABLE_SECONDS)

    def files(self, image: ImageId) -> list[Entry]:
        """The layer's files in the tar's order. Raises LayerUnreadable, ImageNotFound."""
        with self._working:
            return self._files(image)

    def diff(self, image: ImageId, ancestry: Callable[[ImageId], list[ImageId]]) -> dict[str, Any]:
        """Files deleted, changed and created. Raises LayerUnreadable, ImageNotFound."""
        path = paths.image_diff(image)
        with self._working:
            compared: dict[str, Any] = self._kept(path, dict, lambda: self._compare(image, ancestry(image)[1:]))
        return compared

    def forget(self, image: ImageId) -> None:
        """Drop what is known of an image's layer."""
        self._unreadable.discard(paths.image_layer(image))

    def _files(self, image: ImageId) -> list[Entry]:
        listed: list[Entry] = self._kept(paths.image_files(image), list, lambda: self._list(image))
        return listed

    def _kept(self, path: str, kind: type, compute: Callable[[], Any]) -> Any:
        kept = self._read(path, kind)
        if kept is None:
            kept = compute()
            try:
                self._driver.put(path, self._offload(json.dumps, kept).encode())
            except StorageProblem as problem:
                # It is an answer all the same; the next one computes it again.
                logger.warning("Not kept: %s", problem)
        return kept

    def _read(self, path: str, kind: type) -> Any:
        """The stored result, unless docker-registry wrote it: that misses whiteouts below the top directory."""
        with suppress(PathNotFound, ValueError):
            raw = self._driver.get(path)
            if not any(trace in raw for trace in _WHITEOUT_KEPT):
                kept = self._offload(json.loads, raw)
                return kept if isinstance(kept, kind) else None
        return None

    def _list(self, image: ImageId) -> list[Entry]:
        layer = paths.image_layer(image)
        known = self._unreadable.get(layer)
        if known is not None:
            raise LayerUnreadable(known)
        try:
            with self._driver.open_reader(layer) as reader:
                listed: list[Entry] = self._offload(listing, reader)
        except PathNotFound as error:
            raise ImageNotFound from error
        except LayerUnreadable as error:
            self._unreadable.put(layer, error.message)
            raise
        return listed

    def _compare(self, image: ImageId, ancestors: Iterable[ImageId]) -> dict[str, Any]:
        deleted: dict[str, Entry] = {}
        changed: dict[str, Entry] = {}
        created: dict[str, Entry] = {}
        left: dict[str, tuple[str, Entry]] = {}
        for name, *rest in self._files(image):
            if rest[1]:
                deleted[name] = rest
            else:
                left[_key(name)] = (name, rest)
        for ancestor in ancestors:
            if not left:
                break
            below = self._offload(_whiteouts, self._files(ancestor))
            for key in left.keys() & below.keys():
                name, rest = left.pop(key)
                (created if below[key] else changed)[name] = rest
        created.update(left.values())
        return {"deleted": deleted, "changed": changed, "created": created}


def _whiteouts(entries: list[Entry]) -> dict[str, bool]:
    """Whether each file, by its key, is a whiteout."""
    return {_key(entry[0]): entry[2] for entry in entries}


def listing(blocks: Iterable[bytes]) -> list[Entry]:
    """The files of a compressed layer. Raises LayerUnreadable."""
    found = (_entry(header) for header, _ in tar.entries(unpacked(blocks)))
    return [entry for entry in found if entry is not None]


def _entry(header: tar.Header) -> Entry | None:
    """A file's entry; None for metadata of aufs and for global PAX headers."""
    name, is_deleted = _visible_name(header.name.decode(errors="replace"))
    if header.typeflag == tar.PAX_GLOBAL or name is None:
        return None
    return [name, _letter(header), is_deleted, header.size, header.mtime, header.mode, header.uid, header.gid]


def _letter(header: tar.Header) -> str:
    if header.typeflag == tar.OLD_REGULAR and header.name.endswith(b"/"):
        return "d"
    return "S" if header.is_sparse else _LETTERS.get(header.typeflag, "u")


def _visible_name(name: str) -> tuple[str | None, bool]:
    """The name a container sees, and whether the entry is the whiteout that hides it."""
    name = name.rstrip("/") or "/"
    if name == ".":
        return "/", False
    if name.startswith("./"):
        name = name[1:]
    directory, slash, last = name.rpartition("/")
    if any(part.startswith(_AUFS) for part in name.split("/")):
        return None, False
    if last.startswith(_WHITEOUT):
        return f"{directory}{slash}{last.removeprefix(_WHITEOUT)}", True
    return name, False


def _key(name: str) -> str:
    """A file's path without its leading slash: daemons write `./x` or `x`, by version."""
    return name.lstrip("/")
