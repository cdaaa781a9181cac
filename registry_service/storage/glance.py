"""Keeps layers as images of OpenStack's image service, v2, and everything else in another driver (docs/storage.md).

An image has no path; ours have it as a property. They are found by it, and what lies below a folder by a tag.

    begun       an image with a tag that says so, and no path: nobody finds it
    committed   its data has come and was compared; one PATCH gives it the path and takes the tag
    moved       one PATCH gives it another path: no byte is copied, for what is staged lies in Glance too
    replaced    two images have the path for a moment; the one committed last counts, the others are deleted

An upload cannot be taken up again, nor can what was written be written twice: only `buffer_bytes` of it are kept. Up to
them a broken upload is repeated, past them it fails. Contents that are at a layer's path in the other driver, because
it was used alone before, are read there. Glance signs no URLs.
"""

from __future__ import annotations

import hashlib
import http.client
import mmap
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from common.settings import SettingsError, file, load, one_of, seconds, setting, url, variable, whole_number
from registry_service.storage import factory, paths
from registry_service.storage.driver import (
    BLOCK,
    Driver,
    Offload,
    PathNotFound,
    Reader,
    Stat,
    StorageFailure,
    StorageFull,
    StorageProblem,
    Writer,
)
from registry_service.storage.guard import Guard
from registry_service.storage.keystone import Identity, IdentityProblem, Login
from registry_service.storage.resuming import EmptyReader, RawBody, ResumingReader
from registry_service.storage.retrying import BROKEN, TRANSIENT_STATUSES, NoAnswer, Refused, RetryPolicy

MIB = 1024**2

LEFTOVER_SECONDS = 48 * 3600.0
"""An image begun this long ago and not committed belongs to a process that was killed."""

_PATH = "wharfinger_path"
_COMMITTED = "wharfinger_committed"
_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
_LONGEST_NAME = 255
_PAGE = 100
_FULL = (413, 507)

Image = Mapping[str, Any]


def _another(text: str) -> str:
    if text == Glance.name:
        raise ValueError("glance keeps nothing but layers: name a driver for the rest")
    return text


@dataclass(frozen=True, slots=True)
class GlanceSettings:
    """WHARFINGER_GLANCE_*, or the table [glance]."""

    auth_url: str = setting(url, "Keystone, as http(s)://host:port/v3.")
    user: str = setting(str, "User.")
    password: str = setting(str, "Password.", secret=True)
    project: str = setting(str, "Project, which owns the images.")
    user_domain: str = setting(str, "Domain of the user, by name.", "Default")
    project_domain: str = setting(str, "Domain of the project, by name.", "Default")
    region: str = setting(str, "Region in Keystone's catalogue; empty means any.", "")
    interface: str = setting(one_of("public", "internal", "admin"), "Which of the catalogue's endpoints.", "public")
    endpoint_url: str = setting(url, "Glance's address instead of the catalogue's.", "")
    ca_bundle: str = setting(file, "File of certificates to trust instead of the usual ones.", "")
    alternate: str = setting(_another, "Driver that keeps everything but layers, with its own settings.", "filesystem")
    alternate_path: str = setting(str, "Root of that driver's store; empty means the storage path.", "")
    buffer_bytes: int = setting(
        whole_number(1), "Bytes of an upload kept in memory, up to which a broken one is repeated.", 8 * MIB
    )
    attempts: int = setting(whole_number(1), "How often a request is made before it fails.", 5)
    connect_timeout: float = setting(seconds, "Seconds a connection may take.", 5.0)
    read_timeout: float = setting(seconds, "Seconds Glance may be silent.", 60.0)
    connections: int = setting(whole_number(1), "Idle connections kept open for the next requests.", 128)


def _named(field: str) -> str:
    return variable("glance", field)


def from_environ(storage_path: str, environ: Mapping[str, str]) -> Glance:
    """Raises SettingsError."""
    settings = load(GlanceSettings, "glance", environ)
    alternate = factory.create(settings.alternate, settings.alternate_path or storage_path, environ)
    return Glance(settings, storage_path, alternate)


class UploadBroken(Exception):
    """An upload's connection did not do."""


class Glance(Driver):
    """Layers as images of one project, and another driver for the rest."""

    name = "glance"
    is_blocking = False

    def __init__(
        self,
        settings: GlanceSettings,
        storage_path: str,
        alternate: Driver,
        *,
        keeps: Callable[[str], bool] = paths.is_layer,
        lies_above: Callable[[str], bool] = paths.lies_above_layers,
        leftover_seconds: float = LEFTOVER_SECONDS,
    ) -> None:
        """Try Glance out and sweep it; `keeps` tells which paths are Glance's. Raises SettingsError."""
        self.settings = settings
        self._alternate = alternate
        self._keeps = keeps
        self._lies_above = lies_above
        self.images = Images(settings, "".join(f"{name}/" for name in storage_path.split("/") if name))
        self.images.try_out()
        self.images.sweep(leftover_seconds)

    def set_offload(self, offload: Offload) -> None:
        if isinstance(self._alternate, Guard):
            self._alternate = Guard(self._alternate.driver, offload)

    def get(self, path: str) -> bytes:
        if not self._keeps(path):
            return self._alternate.get(path)
        with self.open_reader(path) as reader:
            content = b"".join(reader)
            if isinstance(reader, _ImageReader):
                reader.compare(content)
        return content

    def put(self, path: str, content: bytes) -> None:
        if not self._keeps(path):
            self._alternate.put(path, content)
            return
        with self.open_writer(path) as writer:
            writer.write(content)
            writer.commit()

    def create(self, path: str, content: bytes) -> bool:
        """In the other driver, for Glance has nothing like it."""
        if self._keeps(path) and self.images.find(path) is not None:
            return False
        return self._alternate.create(path, content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        image = self.images.find(path) if self._keeps(path) else None
        if image is None:
            return self._alternate.open_reader(path, offset, length)
        while True:
            rest = max(0, image["size"] - offset)
            size = rest if length is None else min(rest, length)
            if not size:
                return EmptyReader()
            try:
                return _ImageReader(self.images, path, image, offset, size)
            except PathNotFound:
                image = self.images.successor(path, image)

    def open_writer(self, path: str) -> Writer:
        if not self._keeps(path):
            return self._alternate.open_writer(path)
        return _ImageWriter(self.images, self._alternate, path)

    def stat(self, path: str) -> Stat:
        image = self.images.find(path) if self._keeps(path) else None
        if image is None:
            return self._alternate.stat(path)
        return Stat(image["size"], datetime.fromisoformat(image["updated_at"]).timestamp())

    def exists(self, path: str) -> bool:
        if self._keeps(path) and self.images.find(path) is not None:
            return True
        return self._alternate.exists(path) or any(True for _ in self._below(path))

    def list(self, path: str) -> Iterator[str]:
        names = {name.partition("/")[0] for name in self._below(path)}
        others: Iterator[str] = iter(())
        try:
            others = self._alternate.list(path)
        except PathNotFound:
            if not names:
                raise
        return chain((name for name in others if name not in names), names)

    def delete(self, path: str) -> None:
        images = self.images.at(path) if self._keeps(path) else []
        if not images and self._lies_above(path):
            images = list(self.images.below(path))
        for image in images:
            self.images.delete(path, image["id"])
        try:
            self._alternate.delete(path)
        except PathNotFound:
            if not images:
                raise

    def move(self, source: str, target: str) -> None:
        image = self.images.find(source) if self._keeps(source) else None
        if image is None and not self._keeps(target):
            self._alternate.move(source, target)
        elif image is None or not self._keeps(target):
            self._carry(source, target)
        elif source != target:
            self.images.commit(target, image["id"], named=source)
            self.images.drop_superseded(target, self._alternate)

    def url_for(self, path: str) -> str | None:
        return None if self._keeps(path) else self._alternate.url_for(path)

    def local_path(self, path: str) -> Path | None:
        return None if self._keeps(path) else self._alternate.local_path(path)

    def _below(self, path: str) -> Iterator[str]:
        """What is below a path in Glance, by the rest of its path."""
        if self._lies_above(path):
            for image in self.images.below(path):
                yield self.images.path_of(image)[len(path) + 1 :]

    def _carry(self, source: str, target: str) -> None:
        """From one of the two stores to the other."""
        with self.open_reader(source) as reader, self.open_writer(target) as writer:
            for block in reader:
                writer.write(block)
            writer.commit()
        self.delete(source)


class Images:
    """The calls to Glance: create, upload, search, patch, delete, and a download in `_ImageReader`."""

    def __init__(self, settings: GlanceSettings, root: str) -> None:
        """Log in. Raises SettingsError."""
        self.settings = settings
        self.retry = RetryPolicy(settings.attempts)
        self._root = root
        same = ("auth_url", "user", "user_domain", "password", "project", "project_domain", "region", "interface",
                "ca_bundle", "connect_timeout", "read_timeout", "connections")  # fmt: skip
        self._identity = Identity(Login("glance", **{name: getattr(settings, name) for name in same}))
        found = self._identity.endpoint("image")
        address = settings.endpoint_url or found
        self._url = address if address.endswith("/v2") else f"{address}/v2"
        self._project = self._identity.project_id()
        self._begun = self._tag("begun")

    def try_out(self) -> None:
        """Raises SettingsError."""
        try:
            self._ask("", "GET", "images?limit=1")
        except (Refused, PathNotFound) as error:
            status = error.status if isinstance(error, Refused) else 404
            raise SettingsError(
                f"{_named('endpoint_url')} or {_named('project')}: {self._url} answers {status}: "
                "name the image service, and a project whose member the user is"
            ) from error
        except StorageProblem as error:
            raise SettingsError(f"{_named('endpoint_url')}: {self._url} cannot be used: {error.reason}") from error

    def sweep(self, leftover_seconds: float) -> None:
        """Delete what killed processes left. Glance's trouble is not the start's, which has seen that it works."""
        oldest = datetime.now(UTC) - timedelta(seconds=leftover_seconds)
        with suppress(StorageProblem):
            asked = {"tag": self._begun, "created_at": f"lt:{oldest:%Y-%m-%dT%H:%M:%SZ}"}
            for image in list(self._search("", asked)):
                self.delete("", image["id"])

    def begin(self, path: str) -> str:
        """A new image that nobody finds; returns its id."""
        image = str(uuid.uuid4())
        wanted = {"id": image, "name": path[-_LONGEST_NAME:], "tags": [self._begun], "visibility": "private",
                  "disk_format": "raw", "container_format": "docker"}  # fmt: skip
        try:
            self._ask(path, "POST", "images", json=wanted)
        except Refused as refused:
            # Nobody else has that id: an earlier attempt's answer was lost.
            if refused.status != 409:
                raise
        return image

    def upload(self, path: str, image: str) -> Upload:
        """A connection that takes the data of a new image. Raises UploadBroken."""
        try:
            token = self._identity.token()
        except IdentityProblem as error:
            raise StorageFailure(path, f"login: {type(error).__name__}") from error
        return Upload(f"{self._url}/images/{image}/file", token, self.settings)

    def is_whole(self, path: str, image: str, size: int, md5: str) -> bool:
        """Whether an image has these data."""
        try:
            found = self._ask(path, "GET", f"images/{image}").json()
        except PathNotFound:
            return False
        same = found.get("checksum") in (None, md5) and found["size"] == size
        return bool(found["status"] == "active" and same)

    def commit(self, path: str, image: str, *, named: str = "") -> None:
        """Give an image its path, by which it is found from now on. Raises PathNotFound(named)."""
        changes = [
            {"op": "add", "path": f"/{_PATH}", "value": self._root + path},
            {"op": "add", "path": f"/{_COMMITTED}", "value": f"{time.time_ns():020d}"},
            {"op": "replace", "path": "/tags", "value": [self._tag(folder) for folder in _folders(path)]},
            {"op": "replace", "path": "/name", "value": path[-_LONGEST_NAME:]},
        ]
        self._ask(named or path, "PATCH", f"images/{image}", json=changes, headers=_PATCH)

    def find(self, path: str) -> Image | None:
        """The image at a path, if there is one."""
        return next(iter(self.at(path)), None)

    def at(self, path: str) -> list[Image]:
        """The images at a path, the one that counts first."""
        found = self._search(path, {_PATH: self._root + path, "status": "active"})
        return sorted(found, key=lambda image: (image[_COMMITTED], image["id"]), reverse=True)

    def below(self, path: str) -> Iterator[Image]:
        """The images below a path."""
        start = f"{self._root}{path}/"
        for image in self._search(path, {"tag": self._tag(path), "status": "active"}):
            if image.get(_PATH, "").startswith(start):
                yield image

    def successor(self, path: str, image: Image) -> Image:
        """What replaced an image between our finding it and asking for it. Raises PathNotFound if it was deleted."""
        found = self.find(path)
        if found is None:
            raise PathNotFound(path)
        if found["id"] == image["id"]:
            raise StorageFailure(path, "Glance has lost its data")
        return found

    def path_of(self, image: Image) -> str:
        return str(image[_PATH]).removeprefix(self._root)

    def drop_superseded(self, path: str, alternate: Driver) -> None:
        """Delete what was at a path before."""
        for image in self.at(path)[1:]:
            self.delete(path, image["id"])
        with suppress(PathNotFound):
            alternate.delete(path)

    def delete(self, path: str, image: str) -> None:
        with suppress(PathNotFound):
            self._ask(path, "DELETE", f"images/{image}")

    def download(self, path: str, image: str, first: int, size: int, whole: bool) -> requests.Response:
        """An image's data, or some of it. Raises PathNotFound."""
        headers = {} if whole else {"Range": f"bytes={first}-{first + size - 1}"}
        answer = self._ask(path, "GET", f"images/{image}/file", headers=headers, stream=True)
        if answer.status_code != (200 if whole else 206):
            answer.close()
            raise StorageFailure(path, "Glance ignores ranges")
        return answer

    def _search(self, path: str, asked: Mapping[str, str]) -> Iterator[Image]:
        # Others may share images of theirs with us, and call them what they like.
        query = {**asked, "owner": self._project, "limit": str(_PAGE)}
        following: str | None = "images"
        while following is not None:
            page = self._ask(path, "GET", following, params=query).json()
            yield from page["images"]
            following, query = page.get("next"), {}

    def _ask(self, path: str, method: str, place: str, **named_ones: Any) -> requests.Response:
        """Make one request, retried where that may help; every one may be made twice.

        Raises PathNotFound, StorageFull, Refused for another answer than asked for, StorageFailure for none.
        """

        def attempt(number: int) -> requests.Response:
            try:
                answer = self._identity.session.request(
                    urljoin(f"{self._url}/", place), method, raise_exc=False, redirect=False, log=False,
                    **named_ones,
                )  # fmt: skip
            except (IdentityProblem, *BROKEN) as error:
                raise NoAnswer(path, f"{type(error).__name__} at attempt {number}") from error
            if not answer.ok:
                answer.close()
                raise _problem(path, answer.status_code, number)
            return answer

        return self.retry.call(attempt)

    def _tag(self, folder: str) -> str:
        """A tag for what is below a folder; by a digest, for tags are short."""
        return f"wharfinger-{hashlib.sha256(f'{self._root}:{folder}'.encode()).hexdigest()[:32]}"


class Upload:
    """One PUT whose body is given piece by piece, which requests does only in a thread of its own."""

    def __init__(self, url: str, token: str, settings: GlanceSettings) -> None:
        """Connect and begin. Raises UploadBroken."""
        parts = urlsplit(url)
        self._connection = _connection(parts.scheme, parts.netloc, settings)
        try:
            self._connection.connect()
            self._connection.sock.settimeout(settings.read_timeout)
            self._connection.putrequest("PUT", parts.path)
            self._connection.putheader("X-Auth-Token", token)
            self._connection.putheader("Content-Type", "application/octet-stream")
            self._connection.putheader("Transfer-Encoding", "chunked")
            self._connection.endheaders()
        except BROKEN as error:
            raise self._broken(error) from error

    def send(self, data: memoryview) -> None:
        """Raises UploadBroken."""
        try:
            for start in range(0, len(data), BLOCK):
                piece = data[start : start + BLOCK]
                self._connection.send(b"%x\r\n" % len(piece))
                self._connection.send(piece)
                self._connection.send(b"\r\n")
        except BROKEN as error:
            raise self._broken(error) from error

    def finish(self) -> int:
        """End the body; returns the answer's status. Raises UploadBroken."""
        try:
            self._connection.send(b"0\r\n\r\n")
            answer = self._connection.getresponse()
            answer.read()
        except BROKEN as error:
            raise self._broken(error) from error
        self._connection.close()
        return answer.status

    def close(self) -> None:
        """Let go; an upload not finished is none."""
        self._connection.close()

    def _broken(self, error: Exception) -> UploadBroken:
        self._connection.close()
        return UploadBroken(f"the upload broke off ({type(error).__name__})")


class _ImageReader(ResumingReader):
    """Pinned to one image, whose data never change."""

    def __init__(self, images: Images, path: str, image: Image, offset: int, length: int) -> None:
        self._images = images
        self._image = image
        super().__init__(path, images.retry, offset, length)

    def compare(self, content: bytes) -> None:
        """Raises StorageFailure unless these are the image's data."""
        expected = self._image.get("checksum")
        if expected not in (None, hashlib.md5(content, usedforsecurity=False).hexdigest()):
            raise StorageFailure(self._path, "Glance's bytes are not those of their checksum")

    def _open(self, position: int, left: int | None) -> tuple[RawBody, int]:
        size = self._image["size"] - position if left is None else left
        whole = position == 0 and size == self._image["size"]
        return RawBody(self._images.download(self._path, self._image["id"], position, size, whole)), size


class _ImageWriter(Writer):
    """What fits the buffer is uploaded when it is committed; more while it is written."""

    def __init__(self, images: Images, alternate: Driver, path: str) -> None:
        self._images = images
        self._alternate = alternate
        self._path = path
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        # Mapped memory, which goes back when it is let go.
        self._buffer = memoryview(mmap.mmap(-1, images.settings.buffer_bytes))
        self._image = ""
        self._upload: Upload | None = None

    def write(self, block: bytes) -> None:
        self._md5.update(block)
        data = memoryview(block)
        if self._upload is None and self._size + len(data) <= len(self._buffer):
            self._buffer[self._size : self._size + len(data)] = data
        else:
            with self._once():
                self._stream(data)
        self._size += len(data)

    def commit(self) -> None:
        if self._upload is None:
            self._send_buffer()
        else:
            with self._once():
                self._end(self._upload)
        self._images.commit(self._path, self._image)
        self._image = ""
        self._images.drop_superseded(self._path, self._alternate)

    def cancel(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.close()
        image, self._image = self._image, ""
        if image:
            # What Glance will not do now, a later start does.
            with suppress(StorageProblem):
                self._images.delete(self._path, image)

    def _begin(self) -> Upload:
        self._image = self._images.begin(self._path)
        self._upload = self._images.upload(self._path, self._image)
        self._upload.send(self._buffer[: self._size])
        return self._upload

    def _stream(self, data: memoryview) -> None:
        """Send past the buffer, beginning with what is in it."""
        (self._upload or self._begin()).send(data)

    def _send_buffer(self) -> None:
        """Upload what is in the buffer, each attempt to a new image."""

        def attempt(number: int) -> None:
            try:
                self._end(self._begin())
            except UploadBroken as error:
                self.cancel()
                raise NoAnswer(self._path, f"{error} at attempt {number}") from error

        self._images.retry.call(attempt, lambda error: isinstance(error.__cause__, UploadBroken))

    def _end(self, upload: Upload) -> None:
        """Have the data taken, and see that they were. Raises UploadBroken where another attempt may help."""
        try:
            status = upload.finish()
        except UploadBroken:
            # The answer may be all that was lost.
            if not self._is_whole():
                raise
            return
        if status in TRANSIENT_STATUSES:
            raise UploadBroken(f"Glance answers {status}")
        if not 200 <= status < 300:
            raise _problem(self._path, status, 1)
        if not self._is_whole():
            raise UploadBroken("Glance has other bytes than were sent")

    def _is_whole(self) -> bool:
        return self._images.is_whole(self._path, self._image, self._size, self._md5.hexdigest())

    @contextmanager
    def _once(self) -> Iterator[None]:
        """What breaks in here cannot be done again."""
        try:
            yield
        except UploadBroken as error:
            raise StorageFailure(self._path, f"{error}, past what can be repeated") from error


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _problem(path: str, status: int, attempt: int) -> StorageProblem:
    if status == 404:
        return PathNotFound(path)
    if status in _FULL:
        return StorageFull(path, f"Glance answers {status}")
    return Refused(path, status, attempt=attempt, store="Glance")


def _connection(scheme: str, place: str, settings: GlanceSettings) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(place, timeout=settings.connect_timeout)
    context = ssl.create_default_context(cafile=settings.ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    return http.client.HTTPSConnection(place, timeout=settings.connect_timeout, context=context)
