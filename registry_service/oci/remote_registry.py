"""Another registry as a place to bring images to by `/v2/`: blobs that it lacks, mounted or uploaded, and manifests.

A blob is one upload in constant memory, as Docker and Skopeo make it; one that is cut begins anew, since distribution
resumes none. What the registry has is known from itself alone: nothing is remembered from one run to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from threading import Lock
from urllib.parse import urlencode

from common.cache import Cache
from common.errors import Unavailable
from registry_service.oci.digests import Digest, verified
from registry_service.oci.manifests import Manifest
from registry_service.oci.remote_client import Answer, Body, RemoteClient, Scopes

_CACHED_BLOBS = 1024 * 1024

_DONE = (200, 201, 202, 204)


class Came(StrEnum):
    """How a blob came to be there."""

    SENT = "sent"
    MOUNTED = "mounted"
    """From another of the registry's repositories."""
    THERE = "there"
    """Before."""


class RemoteRegistry:
    """One registry, from any thread. Methods raise RemoteFailed and RemoteRefused."""

    def __init__(self, client: RemoteClient) -> None:
        self._client = client
        self._base = f"{client.address}/v2"
        self._there: Cache[tuple[str, Digest], Came] = Cache(_CACHED_BLOBS)
        self._repositories: Cache[Digest, str] = Cache(_CACHED_BLOBS)
        # By blob: whoever wants it in another repository can mount it when it has come to the first.
        self._locks: Cache[Digest, Lock] = Cache(_CACHED_BLOBS)

    def bring_blob(self, name: str, digest: Digest, size: int, open_blocks: Callable[[], Iterable[bytes]]) -> Came:
        """Let a repository have a blob, which is verified on its way. Raises Unavailable also for another blob."""
        if self._there.get((name, digest)) is not None:
            return Came.THERE
        with self._locks.get_or_put(digest, Lock):
            came = self._bring(name, digest, Body(size, lambda: verified(digest, open_blocks())))
        self._there.put((name, digest), came)
        self._repositories.put(digest, name)
        return came

    def bring_manifest(self, name: str, tag: str, manifest: Manifest) -> bool:
        """Let a tag name a manifest whose blobs are there, and ask what it names; False where it did before."""
        url, scopes = f"{self._base}/{name}/manifests/{tag}", _scopes(name)
        if self._digest_of(url, scopes, manifest) == manifest.digest:
            return False
        answer = self._client.ask("PUT", url, scopes, {"Content-Type": manifest.media_type}, manifest.content)
        self._require(answer, "to the manifest")
        found = self._digest_of(url, scopes, manifest)
        if found != manifest.digest:
            raise Unavailable(f"{self._client.address.host} has {found or 'nothing'} under the tag afterwards")
        return True

    def _digest_of(self, url: str, scopes: Scopes, manifest: Manifest) -> Digest | None:
        """Of the bytes that a tag leads to, whatever the registry says of them; None for no such tag."""
        answer = self._client.ask("GET", url, scopes, {"Accept": manifest.media_type})
        if answer.status == 200:
            return Digest.of(answer.body)
        if answer.status == 404:
            return None
        raise self._client.refusal(answer, "to a question for the manifest")

    def _bring(self, name: str, digest: Digest, body: Body) -> Came:
        if self._has(name, digest, body.size):
            return Came.THERE
        came = Came.SENT
        other = self._repositories.get(digest)
        if other is not None and self._is_mounted(name, digest, other):
            came = Came.MOUNTED
        else:
            self._client.repeated(lambda: self._upload(name, digest, body))
        if not self._has(name, digest, body.size):
            raise Unavailable(f"{self._client.address.host} does not have {digest} afterwards, or not whole")
        return came

    def _has(self, name: str, digest: Digest, size: int) -> bool:
        answer = self._client.ask("HEAD", f"{self._base}/{name}/blobs/{digest}", _scopes(name))
        if answer.status not in (200, 404):
            raise self._client.refusal(answer, "to a question for a blob")
        return answer.status == 200 and answer.headers.get("Content-Length", str(size)) == str(size)

    def _is_mounted(self, name: str, digest: Digest, other: str) -> bool:
        """A registry that does not mount may answer with anything; then the blob is sent."""
        query = urlencode({"mount": digest, "from": other})
        scopes = (*_scopes(name), f"repository:{other}:pull")
        return self._client.ask("POST", f"{self._base}/{name}/blobs/uploads/?{query}", scopes).status == 201

    def _upload(self, name: str, digest: Digest, body: Body) -> Answer:
        scopes = _scopes(name)
        begun = self._client.once("POST", f"{self._base}/{name}/blobs/uploads/", scopes, body=_NOTHING)
        self._require(begun, "to an upload")
        headers = {"Content-Type": "application/octet-stream"}
        sent = self._client.once("PATCH", begun.location, scopes, headers, body)
        self._require(sent, "to a blob")
        location = sent.location
        end = f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': digest})}"
        ended = self._client.once("PUT", end, scopes, body=_NOTHING)
        self._require(ended, "to the end of a blob")
        return ended

    def _require(self, answer: Answer, words: str) -> None:
        if answer.status not in _DONE:
            raise self._client.refusal(answer, words)


_NOTHING = Body(0, list)


def _scopes(name: str) -> Scopes:
    return (f"repository:{name}:pull,push",)
