"""Whether two layers come to the same, however they were packed.

Daemons of different ages pack one layer in different bytes: with another compression, other times, another order and
encoding of headers. What counts is what extracting leaves behind: for each path its last entry, with type, mode,
owner, link, device, extended attributes and bytes. A tarsum is no proof of it: it sorts its entries, so that those
which name one path may change places, and older versions leave extended attributes out.

Where programs may disagree about what a tar extracts to, only the same bytes are the same layer.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from registry_service.graph import tar
from registry_service.graph.errors import LayerUnreadable
from registry_service.graph.tar import Header
from registry_service.graph.unpack import unpacked

MAX_PATH_BYTES = 4096
MAX_DEPTH = 128

_REGULAR = (tar.REGULAR, tar.OLD_REGULAR, tar.CONTIGUOUS)
_SPECIAL = (tar.HARD_LINK, tar.SYMLINK, tar.CHARACTER, tar.BLOCK_DEVICE, tar.DIRECTORY, tar.FIFO)
_LINKS = (tar.HARD_LINK, tar.SYMLINK)

_PERMISSIONS = 0o7777
"""Some versions of Go write the type of a file into its mode, too."""

_WHITEOUT = b".wh."


def digest(blocks: Iterable[bytes]) -> str:
    """What two layers share that extract to the same, or are the same bytes."""
    packed = hashlib.sha256()
    source = _hashed(iter(blocks), packed)
    try:
        extracted = _Extracted()
        for header, body in tar.entries(unpacked(source), is_whole=True):
            extracted.add(header, body)
    except LayerUnreadable:
        for _ in source:
            pass
        return f"packed:{packed.hexdigest()}"
    return f"extracted:{extracted.digest()}"


def _hashed(blocks: Iterator[bytes], packed: hashlib._Hash) -> Iterator[bytes]:
    for block in blocks:
        packed.update(block)
        yield block


class _Extracted:
    """What is left of the entries so far. Raises LayerUnreadable for what is open to interpretation."""

    def __init__(self) -> None:
        self._found: dict[bytes, bytes] = {}
        self._directories: set[bytes] = set()
        self._children: Counter[bytes] = Counter()
        self._sound: set[bytes] = {b""}

    def add(self, header: Header, body: Iterable[bytes]) -> None:
        path, kind = _path(header), _kind(header)
        parent = path.rpartition(b"/")[0]
        self._require_sound(parent)
        if kind == tar.DIRECTORY:
            self._directories.add(path)
        elif self._children[path]:
            # Whether what is below moves, goes or stays, programs decide.
            raise LayerUnreadable
        else:
            self._directories.discard(path)
            self._sound.discard(path)
        self._found[path] = _digest_of(kind, header, body, self._context(kind, header, path))
        if path:
            self._children[parent] += 1

    def digest(self) -> str:
        whole = hashlib.sha256()
        for path in sorted(self._found):
            whole.update(b"%d:%b%b" % (len(path), path, self._found[path]))
        return whole.hexdigest()

    def _require_sound(self, parent: bytes) -> None:
        """Behind a symbolic link, or below a file, the order of entries decides what is where."""
        while parent not in self._sound:
            if parent in self._found and parent not in self._directories:
                raise LayerUnreadable
            self._sound.add(parent)
            parent = parent.rpartition(b"/")[0]

    def _context(self, kind: bytes, header: Header, path: bytes) -> bytes:
        """What an entry means by what came before it: a hard link is to what was at its target then, and a whiteout
        may hide what the same layer has brought already.
        """
        if kind == tar.HARD_LINK:
            return self._found.get(b"/".join(_parts(header.linkname)), b"")
        directory, _, name = path.rpartition(b"/")
        if name.startswith(_WHITEOUT * 2):
            return b"%d" % self._children[directory]
        if name.startswith(_WHITEOUT):
            hidden = b"/".join(filter(None, (directory, name.removeprefix(_WHITEOUT))))
            return b"%d" % (hidden in self._found or self._children[hidden] > 0)
        return b""


def _path(header: Header) -> bytes:
    """Where an entry is extracted to, without a slash in front; the layer's root is empty."""
    parts = _parts(header.name)
    path = b"/".join(parts)
    if len(path) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        raise LayerUnreadable
    return path


def _parts(name: bytes) -> list[bytes]:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise LayerUnreadable
    return parts


def _kind(header: Header) -> bytes:
    """The type, one for all that mean the same."""
    if header.is_sparse or header.typeflag not in (*_REGULAR, *_SPECIAL):
        raise LayerUnreadable
    if header.typeflag not in _REGULAR:
        return header.typeflag
    is_old_directory = header.typeflag == tar.OLD_REGULAR and header.name.endswith(b"/")
    return tar.DIRECTORY if is_old_directory else tar.REGULAR


def _digest_of(kind: bytes, header: Header, body: Iterable[bytes], context: bytes) -> bytes:
    content = hashlib.sha256()
    for part in body:
        content.update(part)
    whole = hashlib.sha256()
    for part in (
        kind,
        b"%o %d %d" % (header.mode & _PERMISSIONS, header.uid, header.gid),
        header.linkname if kind in _LINKS else b"",
        b"%d %d" % (header.devmajor, header.devminor),
        content.digest(),
        context,
        *(part for pair in sorted(header.xattrs.items()) for part in pair),
    ):
        whole.update(b"%d:%b" % (len(part), part))
    return whole.digest()
