"""Manifests and blobs. Whoever asks by a digest gets what the same token would get by the image that has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from wsgiref.types import WSGIEnvironment

from common import headers
from common.distribution import BlobUnknown, DigestInvalid, ManifestUnknown
from common.errors import Invalid, NotFound
from common.names import ImageId, RepositoryName, Tag
from registry_service.api import delivery
from registry_service.api.delivery import Answer, DeliveryStrategy
from registry_service.api.sharing import Sharing
from registry_service.grants import Credentials
from registry_service.graph.images import Layer
from registry_service.oci.digests import Digest
from registry_service.oci.manifests import OCI, SCHEMA2, Manifest
from registry_service.oci.translation import Translated
from registry_service.services import Registry
from registry_service.storage import paths

DIGEST = "Docker-Content-Digest"

_OCTETS = "application/octet-stream"
_ANY = ("*/*", "application/*")


class Contents:
    """Answers to requests that are admitted to the repository they name."""

    def __init__(self, registry: Registry, strategy: DeliveryStrategy, sharing: Sharing) -> None:
        self._registry = registry
        self._strategy = strategy
        self._sharing = sharing

    def manifest(
        self, environ: WSGIEnvironment, credentials: Credentials, name: RepositoryName, reference: str
    ) -> Answer:
        """By a tag, in the dialect that `Accept` prefers; by a digest, the very bytes."""
        if ":" not in reference:
            translated = self._translated(credentials, name, reference)
            return _current(environ, translated.oci if _wants_oci(environ) else translated.schema2)
        digest = parse_digest(reference, ManifestUnknown)
        named, fetched = self._named(credentials, name, digest), self._fetched(credentials, name, digest)
        for image, found in chain(named, fetched):
            if isinstance(found, Manifest):
                answer = _immutable(environ, digest, found.content, found.media_type)
                answer.headers.append((headers.IMAGE, image))
                return self._shared(answer, credentials, image)
        raise ManifestUnknown("There is no such manifest")

    def blob(self, environ: WSGIEnvironment, credentials: Credentials, name: RepositoryName, reference: str) -> Answer:
        """A layer, sent as v1's layers are, or a config."""
        digest = parse_digest(reference, BlobUnknown)
        for image, found in self._named(credentials, name, digest):
            if isinstance(found, bytes):
                return self._shared(_immutable(environ, digest, found, _OCTETS), credentials, image)
            if isinstance(found, Layer):
                answer = delivery.layer_answer(environ, self._registry.images, found, self._strategy)
                answer.headers.append((DIGEST, digest))
                return self._shared(answer, credentials, image)
        raise BlobUnknown("There is no such blob")

    def _translated(self, credentials: Credentials, name: RepositoryName, tag: str) -> Translated:
        try:
            image = self._registry.tags.get(name, Tag(tag))
            return self._registry.translated(credentials, name, self._registry.gate.readable(credentials, image))
        except (NotFound, Invalid) as error:
            raise ManifestUnknown(error.message) from error

    def _named(
        self, credentials: Credentials, name: RepositoryName, digest: Digest
    ) -> Iterator[tuple[ImageId, Manifest | bytes | Layer]]:
        """The images that the bearer may read, with what each has by this digest; a hint at one that is gone names
        nothing."""
        for named in self._registry.lookup.find(name, digest):
            with suppress(NotFound, Invalid):
                image = self._registry.located(credentials, ImageId(named.image))
                if paths.image(image) == paths.image(named.image):
                    content = self._registry.translations.content(replace(named, image=image), digest)
                    if content is not None:
                        yield image, content

    def _fetched(
        self, credentials: Credentials, name: RepositoryName, digest: Digest
    ) -> Iterator[tuple[ImageId, Manifest]]:
        """The manifest of an image that a mirror fetches because its source says that it has this digest."""
        with suppress(NotFound, Invalid):
            image = self._registry.gate.readable(credentials, self._registry.image_of(credentials, digest))
            translated = self._registry.translated(credentials, name, image)
            for manifest in (translated.schema2, translated.oci):
                if manifest.digest == digest:
                    yield image, manifest

    def _shared(self, answer: Answer, credentials: Credentials, image: ImageId) -> Answer:
        self._sharing.allow(answer, credentials, image)
        return answer


def parse_digest(text: str, unknown: type[NotFound] = ManifestUnknown) -> Digest:
    """Raises DigestInvalid, or `unknown` for one of an algorithm that nothing here is known by."""
    try:
        return Digest.parse(text)
    except Invalid as error:
        raise DigestInvalid(error.message) from error
    except NotFound as error:
        raise unknown(error.message) from error


def _immutable(environ: WSGIEnvironment, digest: Digest, content: bytes, content_type: str) -> Answer:
    etag = f'"{digest}"'
    answer = delivery.unchanged(environ, etag) or delivery.small(environ, content, etag, content_type)
    answer.headers.append((DIGEST, digest))
    return answer


def _current(environ: WSGIEnvironment, manifest: Manifest) -> Answer:
    """What a tag names now."""
    etag = f'"{manifest.digest}"'
    said = [("ETag", etag), ("Cache-Control", "no-cache"), ("Vary", "Accept"), (DIGEST, manifest.digest)]
    if delivery.has_version(environ, etag):
        return Answer("304 NOT MODIFIED", said)
    said += [("Content-Type", manifest.media_type), ("Content-Length", str(len(manifest.content)))]
    return Answer("200 OK", said, () if environ["REQUEST_METHOD"] == "HEAD" else (manifest.content,))


def _wants_oci(environ: WSGIEnvironment) -> bool:
    """Whether a client takes OCI and not schema 2, which says more: OCI drops health checks and triggers."""
    accepted = [part.partition(";")[0].strip().lower() for part in environ.get("HTTP_ACCEPT", "").split(",")]
    return OCI.manifest in accepted and SCHEMA2.manifest not in accepted and not set(_ANY) & set(accepted)
