"""Large contents at Swift: uploads, which are segments below a name of their own, and records of what is not settled.

    a manifest names its upload in its metadata
    whoever begins, moves, replaces or deletes an upload first writes down at which paths its manifest may be;
        the record goes when all is done
    segments are deleted only when the upload's manifest is at none of the paths written down
    records that stay, of processes that were killed, are settled the same way when a driver starts

Segments of a content that was replaced stay for an hour more: somebody may be reading it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from swiftclient import client

from registry_service.storage.driver import PathNotFound, StorageProblem
from registry_service.storage.swift.account import MIB
from registry_service.storage.swift.objects import OWN, Buffer, Entry, Objects, changed

READERS_SECONDS = 3600
"""How long segments of a replaced content stay for whoever is reading it."""


class Segments:
    """The uploads of one store, in a container of their own: segments, and records of what is not settled yet."""

    def __init__(self, objects: Objects) -> None:
        settings = objects.settings
        self._objects = objects
        self._container = settings.segments_container or f"{settings.container}_segments"
        self._own = f"{objects.root}{OWN}/"

    def require_container(self) -> None:
        """Make the container if it is not there."""
        try:
            self._objects.ask(self._container, client.head_container, self._container)
        except PathNotFound:
            self._objects.ask(self._container, client.put_container, self._container)

    def new_upload(self) -> str:
        """A name for segments that belong together: their container, and what nobody else has."""
        return f"{self._container}/{secrets.token_hex(16)}"

    def put(self, path: str, upload: str, number: int, content: Buffer) -> Entry:
        """Store one segment; returns its entry in a manifest."""
        container, folder = self._folder(upload)
        name = f"{folder}{number:08d}"
        md5 = self._objects.put_object(path, container, name, content)
        return {"path": f"/{container}/{name}", "etag": md5, "size_bytes": len(content)}

    def gather(self, path: str, upload: str, parts: Sequence[Entry]) -> Sequence[Entry]:
        """The same bytes in as many parts as a manifest may have: its parts may be manifests."""
        most = self._objects.cluster.parts
        level = 0
        while len(parts) > most:
            level += 1
            groups = [parts[start : start + most] for start in range(0, len(parts), most)]
            parts = [self._group(path, upload, f"group{level}.{n:08d}", group) for n, group in enumerate(groups)]
        return parts

    def record(self, path: str, upload: str, paths: Iterable[str]) -> None:
        """Write down where the upload's manifest may be from now on, besides where it was written down before."""
        container, folder = self._records(upload)
        for noted in paths:
            self._objects.put_object(path, container, folder + noted, b"")

    def settled(self, path: str, upload: str) -> None:
        """Nothing is left to do: forget what was written down."""
        container, folder = self._records(upload)
        self._objects.delete_names(path, container, [folder + noted for noted in self._noted(path, upload)])

    def settle(self, path: str, upload: str, keep_seconds: int = 0) -> None:
        """Delete the segments, now or later, unless the manifest is at one of the paths written down.

        Where nothing is written down any more, somebody else has settled it.
        """
        noted = self._noted(path, upload)
        if noted and not any(self._objects.upload_at(one) == upload for one in noted):
            container, folder = self._folder(upload)
            names = [entry["name"] for entry in self._objects.listed(path, container, folder)]
            if keep_seconds:
                for name in names:
                    self._expire(path, container, name, keep_seconds)
            else:
                self._objects.delete_names(path, container, names)
        self.settled(path, upload)

    @contextmanager
    def replacing(self, path: str, upload: str | None = None) -> Iterator[None]:
        """Around a write at a path: what it replaces goes when the last reader may be done. Not `upload` itself."""
        old = self._objects.upload_at(path)
        if old is None or old == upload:
            yield
            return
        self.record(path, old, {path})
        # After a failure nobody knows whether it was replaced; the record stays for a later start.
        yield
        self.settle(path, old, READERS_SECONDS)

    def put_small(self, path: str, content: Buffer) -> None:
        """PUT a content of one object. Where nothing is there, which is the rule, nothing needs to be looked at."""
        objects = self._objects
        # A refusal may come, and the connection go, while a long body is being sent.
        if len(content) > MIB or not objects.put_unless_there(path, content, {}):
            with self.replacing(path):
                objects.put_object(path, objects.settings.container, objects.key(path), content)

    def sweep(self, leftover_seconds: float) -> None:
        """Settle what killed processes left. The store's trouble is not the start's, which has seen that it works."""
        oldest = time.time() - leftover_seconds
        with suppress(StorageProblem):
            folder = f"{self._own}unsettled/"
            records = list(self._objects.listed("", self._container, folder))
            names = {entry["name"].removeprefix(folder) for entry in records if changed(entry) < oldest}
            for upload in {name.partition("/")[0] for name in names}:
                self.settle("", f"{self._container}/{upload}")

    def candidates(self, path: str) -> tuple[str, str]:
        """Where candidates for the creation of a path stand: container and prefix."""
        return self._container, f"{self._own}creating/{hashlib.sha256(path.encode()).hexdigest()}/"

    def _folder(self, upload: str) -> tuple[str, str]:
        """Where an upload's segments are: container and prefix."""
        container, _, name = upload.partition("/")
        return container, f"{self._own}segments/{name}/"

    def _records(self, upload: str) -> tuple[str, str]:
        """Where it is written down what is to be settled of an upload: container and prefix."""
        container, _, name = upload.partition("/")
        return container, f"{self._own}unsettled/{name}/"

    def _noted(self, path: str, upload: str) -> list[str]:
        container, folder = self._records(upload)
        return [entry["name"].removeprefix(folder) for entry in self._objects.listed(path, container, folder)]

    def _group(self, path: str, upload: str, name: str, parts: Sequence[Entry]) -> Entry:
        container, folder = self._folder(upload)
        etag = self._objects.put_manifest(path, container, folder + name, parts, upload)
        size = sum(part["size_bytes"] for part in parts)
        return {"path": f"/{container}/{folder}{name}", "etag": etag, "size_bytes": size}

    def _expire(self, path: str, container: str, name: str, keep_seconds: int) -> None:
        with suppress(PathNotFound):
            headers = {"X-Delete-After": str(keep_seconds)}
            self._objects.ask(path, client.post_object, container, name, headers)
