"""Calls to OpenStack's image service: create, search, patch, delete and download images, and upload their data."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from common.settings import SettingsError
from registry_service.storage.driver import BLOCK, Driver, PathNotFound, StorageFailure, StorageFull, StorageProblem
from registry_service.storage.glance.settings import GlanceSettings, named
from registry_service.storage.keystone import Identity, IdentityProblem, Login
from registry_service.storage.retrying import BROKEN, NoAnswer, Refused, RetryPolicy

_PATH = "wharfinger_path"
_COMMITTED = "wharfinger_committed"
_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
_LONGEST_NAME = 255
_PAGE = 100
_FULL = (413, 507)

Image = Mapping[str, Any]


class UploadBroken(Exception):
    """An upload's connection did not do."""


class Images:
    """The calls to Glance: create, upload, search, patch, delete, and a download in `_ImageReader`."""

    def __init__(self, settings: GlanceSettings, root: str) -> None:
        """Log in. Raises SettingsError."""
        self.settings = settings
        self.retry = RetryPolicy(settings.attempts)
        self._root = root
        same = ("auth_url", "user", "user_domain", "password", "project", "project_domain", "region", "interface",
                "ca_bundle", "connect_timeout", "read_timeout", "connections")  # fmt: skip
        self._identity = Identity(Login(service="glance", **{name: getattr(settings, name) for name in same}))
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
                f"{named('endpoint_url')} or {named('project')}: {self._url} answers {status}: "
                "name the image service, and a project whose member the user is"
            ) from error
        except StorageProblem as error:
            raise SettingsError(f"{named('endpoint_url')}: {self._url} cannot be used: {error.reason}") from error

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

    def commit(self, path: str, image: str, *, moved_from: str = "") -> None:
        """Give an image its path, by which it is found from now on. Raises PathNotFound(moved_from)."""
        changes = [
            {"op": "add", "path": f"/{_PATH}", "value": self._root + path},
            {"op": "add", "path": f"/{_COMMITTED}", "value": f"{time.time_ns():020d}"},
            {"op": "replace", "path": "/tags", "value": [self._tag(folder) for folder in _folders(path)]},
            {"op": "replace", "path": "/name", "value": path[-_LONGEST_NAME:]},
        ]
        self._ask(moved_from or path, "PATCH", f"images/{image}", json=changes, headers=_PATCH)

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
                raise problem_of(path, answer.status_code, number)
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


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def problem_of(path: str, status: int, attempt: int) -> StorageProblem:
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
