"""Objects of one Swift account: ask, head, get, put, list, delete, copy. Knows nothing of what they are parts of."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from swiftclient import client

from registry_service.storage.driver import BLOCK, BadPath, PathNotFound, StorageFailure
from registry_service.storage.retrying import Refused
from registry_service.storage.swift.account import Account, SwiftSettings

OWN = "_swift"
"""Where the driver keeps what is not for others: segments, records, candidates for creation."""

UPLOAD = "x-object-meta-wharfinger-upload"
"""Metadata of a manifest: which upload its segments are."""

NEWEST = {"X-Newest": "true"}
"""Asks all replicas, and answers with the newest."""

_TOKEN = "x-object-meta-wharfinger-mark"
"""Idempotency token: whose request made an object that is found there when the request is retried."""

_PLAIN = "application/octet-stream"

_DIGESTS = ("sha256", "sha512", "sha1")
"""For temporary URLs, the best first; clusters that do not say which they know, know the last."""

Entry = Mapping[str, Any]
Buffer = bytes | memoryview


class Objects:
    """The objects of an account, of which those of one container whose names begin with `root` have paths."""

    def __init__(self, settings: SwiftSettings, storage_path: str) -> None:
        """Log in. Raises SettingsError."""
        self.settings = settings
        self.root = "".join(f"{name}/" for name in storage_path.split("/") if name)
        self.account = Account(settings)
        self.retry = self.account.retry
        self.cluster = Cluster(self.account.capabilities(), settings)

    def key(self, path: str) -> str:
        """The name of the object at a path. Raises BadPath for what is the driver's own."""
        if path.partition("/")[0] == OWN:
            raise BadPath(path)
        return self.root + path

    def ask(self, path: str, function: Callable[..., Any], *arguments: Any, **named_ones: Any) -> Any:
        """See `Account.ask`."""
        return self.account.ask(path, function, *arguments, **named_ones)

    def head(self, path: str) -> Mapping[str, str]:
        """Headers of the object, of the newest of its replicas. Raises PathNotFound."""
        found: Mapping[str, str] = self.ask(
            path, client.head_object, self.settings.container, self.key(path), headers=NEWEST
        )
        return found

    def is_object(self, path: str) -> bool:
        try:
            self.head(path)
        except PathNotFound:
            return False
        return True

    def upload_at(self, path: str) -> str | None:
        """Which upload's manifest is there."""
        try:
            return self.head(path).get(UPLOAD)
        except PathNotFound:
            return None

    def get(self, path: str, headers: Mapping[str, str]) -> tuple[Mapping[str, str], Any]:
        """Headers and open body of the object. Raises PathNotFound, and Refused for a range or version it has not."""
        answer: tuple[Mapping[str, str], Any] = self.ask(
            path, client.get_object, self.settings.container, self.key(path),
            headers=dict(headers), resp_chunk_size=BLOCK,
        )  # fmt: skip
        return answer

    def put_object(self, path: str, container: str, name: str, content: Buffer, **named_ones: Any) -> str:
        """PUT one object, on behalf of `path`, and have the store compare checksums. Returns its MD5."""
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()

        def put(url: str, token: str, http_conn: Any) -> Any:
            body = _Body(content) if content else b""
            return client.put_object(
                url, token, container, name, body, len(content), md5, content_type=_PLAIN,
                http_conn=http_conn, **named_ones,
            )  # fmt: skip

        try:
            self.ask(path, put)
        except PathNotFound as error:
            raise StorageFailure(path, f"the container {container} is gone") from error
        return md5

    def put_unless_there(self, path: str, content: Buffer, metadata: Mapping[str, str]) -> bool:
        headers = {"If-None-Match": "*", **metadata}
        try:
            self.put_object(path, self.settings.container, self.key(path), content, headers=headers)
        except Refused as refused:
            if refused.status != 412:
                raise
            return False
        return True

    def put_new(self, path: str, content: bytes) -> bool:
        """PUT a content of one object unless one is there: of several at once more than one may be told that it did."""
        token = secrets.token_hex(16)
        if self.put_unless_there(path, content, {_TOKEN: token}):
            return True
        # Refused and ours: an earlier attempt's answer was lost.
        try:
            return self.head(path).get(_TOKEN) == token
        except PathNotFound:
            return False

    def put_manifest(self, path: str, container: str, name: str, parts: Sequence[Entry], upload: str) -> str:
        """Make one object of many; the store looks at each first. Returns its checksum, quoted."""
        answer: dict[str, Any] = {}
        self.ask(
            path, client.put_object, container, name, json.dumps(parts), content_type=_PLAIN,
            query_string="multipart-manifest=put", headers={UPLOAD: upload}, response_dict=answer,
        )  # fmt: skip
        return str(answer["headers"].get("etag", "")).strip('"')

    def copy(self, source: str, target: str) -> None:
        """Have the store copy an object; of a large one the manifest, which it checks anew."""
        origin = f"/{quote(self.settings.container)}/{quote(self.key(source))}"
        self.ask(
            source, client.put_object, self.settings.container, self.key(target), b"",
            query_string="multipart-manifest=get", headers={"X-Copy-From": origin},
        )  # fmt: skip

    def delete(self, path: str) -> None:
        """Delete the object, if it is there; of a manifest only itself."""
        with suppress(PathNotFound):
            self.ask(path, client.delete_object, self.settings.container, self.key(path))

    def delete_names(self, path: str, container: str, names: Sequence[str]) -> None:
        """Delete objects, many at once where the cluster can; those that are not there are no matter."""
        if len(names) < 2 or self.cluster.deletes < 2:
            for name in names:
                with suppress(PathNotFound):
                    self.ask(path, client.delete_object, container, name)
            return
        for start in range(0, len(names), self.cluster.deletes):
            lines = [f"{quote(container)}/{quote(name)}" for name in names[start : start + self.cluster.deletes]]
            self._delete_many(path, "\n".join(lines).encode())

    def listed(self, path: str, container: str, prefix: str, **named_ones: Any) -> Iterator[Entry]:
        """Entries of a container by their prefix, page by page: Swift shows no more at once than it likes."""
        marker = ""
        while True:
            _, page = self.ask(
                path, client.get_container, container, prefix=prefix, marker=marker, headers=NEWEST, **named_ones
            )
            yield from page
            if len(page) < self.cluster.page:
                return
            following = page[-1].get("name", page[-1].get("subdir"))
            if following <= marker:
                raise StorageFailure(path, "the store's listing does not go on")
            marker = following

    def _delete_many(self, path: str, lines: bytes) -> None:
        headers = {"Content-Type": "text/plain", "Accept": "application/json"}
        _, body = self.ask(path, client.post_account, headers, query_string="bulk-delete", data=lines)
        said = json.loads(body)
        if said["Errors"] or not said["Response Status"].startswith(("200", "404")):
            raise StorageFailure(path, f"the store left {len(said['Errors'])} undeleted: {said['Response Status']}")


class Cluster:
    """What a cluster can, as it says itself; of one that does not, the least is believed."""

    def __init__(self, said: Mapping[str, Any], settings: SwiftSettings) -> None:
        swift, bulk = said.get("swift", {}), said.get("bulk_delete", {})
        self.page = int(swift.get("container_listing_limit", 1))
        self.deletes = min(1000, int(bulk.get("max_deletes_per_request", 1)))
        self.segment = min(settings.segment_bytes, int(swift.get("max_file_size", settings.segment_bytes)))
        self.parts = int(said.get("slo", {}).get("max_manifest_segments", 1000))
        self.signs = "tempurl" in said or not said
        allowed = said.get("tempurl", {}).get("allowed_digests", ())
        self.digest = next((one for one in _DIGESTS if one in allowed), _DIGESTS[-1])


class _Body:
    """A buffer as swiftclient reads it, in pieces larger than it asks for."""

    def __init__(self, content: Buffer) -> None:
        self._rest = memoryview(content)

    def read(self, _size: int = -1) -> memoryview:
        piece, self._rest = self._rest[:BLOCK], self._rest[BLOCK:]
        return piece


def changed(entry: Entry) -> float:
    """When a listed object was written last."""
    return datetime.fromisoformat(entry["last_modified"]).replace(tzinfo=UTC).timestamp()
