"""Reading of a docker-archive: the tar that `docker save` and `skopeo copy … docker-archive:` write.

Nothing is extracted. The members are found by one walk over their headers, which passes over what they hold, and those
that are needed are read where they are. A link leads to another member, or nowhere.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from common.errors import Invalid
from registry_service.graph import tar
from registry_service.graph.errors import LayerUnreadable
from registry_service.oci.saved_image import MAX_JSON_BYTES, SavedImage, SavedLayer, chosen, parsed, told
from registry_service.storage.driver import BLOCK

_MOST_MEMBERS = 20_000
"""Of an image of 127 layers there are some four hundred."""

_LONGEST_NAME = 4096

_MOST_LINKS = 8

_FILES = (tar.REGULAR, tar.OLD_REGULAR, tar.CONTIGUOUS)


class _Saved(msgspec.Struct, rename="pascal"):
    """An image in manifest.json; all names are those of members."""

    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    """What a name stands for: so many bytes of the archive, or another name."""

    offset: int
    size: int
    link: str | None = None


def read_archive(path: Path, reference: str) -> SavedImage:
    """The image that is tagged so, or the only one. Raises Invalid."""
    members = _members(path)
    manifest = parsed(_content(path, members, "manifest.json"), list[_Saved], "manifest.json")
    named = {_short(name): each for each in manifest for name in each.repo_tags or []}
    image = chosen(named, [each for each in manifest if not each.repo_tags], _short(reference))
    config = _content(path, members, image.config)
    layers = [(name, _find(members, name)) for name in image.layers]
    return SavedImage(
        config, [SavedLayer(f"layer {told(name)}", None, partial(_blocks, path, at)) for name, at in layers]
    )


def _short(name: str) -> str:
    """As Docker writes it, where Skopeo writes it out."""
    return name.removeprefix("docker.io/").removeprefix("library/")


def _members(path: Path) -> dict[str, _Member]:
    """Where each member is; of several with one name the last counts, as for whoever extracts them."""
    members: dict[str, _Member] = {}
    try:
        with path.open("rb", buffering=0) as file:
            _require_tar(file.read(2), path)
            for name, member in _walk(file.fileno()):
                members[name] = member
                if len(members) > _MOST_MEMBERS:
                    raise Invalid(f"{path} has more members than any archive of an image")
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    except LayerUnreadable as error:
        raise Invalid(f"{path} is no archive of an image, or is damaged: {error.message}") from error
    return members


def _require_tar(head: bytes, path: Path) -> None:
    if head == b"\x1f\x8b":
        raise Invalid(f"{path} is compressed: unpack it with `gunzip` first")


def _walk(file: int) -> Iterator[tuple[str, _Member]]:
    end = os.fstat(file).st_size
    at = 0
    while at < end:
        headers = _Headers(file, at)
        found = next(tar.entries(headers), None)
        if found is None:
            return
        header, _ = found
        begin = at + headers.taken
        at = begin + header.body + -header.body % tar.BLOCK
        if begin + header.body > end:
            raise LayerUnreadable("it is cut short")
        if len(header.name) > _LONGEST_NAME or len(header.linkname) > _LONGEST_NAME:
            raise LayerUnreadable("it has names longer than any file system takes")
        name = _plain(os.fsdecode(header.name))
        if header.typeflag in _FILES and not header.is_sparse:
            yield name, _Member(begin, header.body)
        elif header.typeflag == tar.SYMLINK:
            yield name, _Member(0, 0, _plain(posixpath.join(posixpath.dirname(name), os.fsdecode(header.linkname))))
        elif header.typeflag == tar.HARD_LINK:
            yield name, _Member(0, 0, _plain(os.fsdecode(header.linkname)))


class _Headers:
    """The archive from a header on, in single blocks, so that it is known how many of them a header takes."""

    def __init__(self, file: int, at: int) -> None:
        self._file = file
        self._at = at
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        while block := os.pread(self._file, tar.BLOCK, self._at + self.taken):
            self.taken += len(block)
            yield block


def _plain(name: str) -> str:
    return posixpath.normpath(name)


def _find(members: Mapping[str, _Member], name: str) -> _Member:
    wanted = _plain(name)
    for _ in range(_MOST_LINKS):
        member = members.get(wanted)
        if member is None:
            raise Invalid(f"{told(name)} is missing from the archive")
        if member.link is None:
            return member
        wanted = member.link
    raise Invalid(f"{told(name)} is a link to links without an end")


def _content(path: Path, members: Mapping[str, _Member], name: str) -> bytes:
    member = _find(members, name)
    if member.size > MAX_JSON_BYTES:
        raise Invalid(f"{told(name)} has more than {MAX_JSON_BYTES} bytes")
    return b"".join(_blocks(path, member))


def _blocks(path: Path, member: _Member) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        at, left = member.offset, member.size
        while left and (block := os.pread(file.fileno(), min(BLOCK, left), at)):
            at, left = at + len(block), left - len(block)
            yield block
