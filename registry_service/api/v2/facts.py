"""What an image is by `/v2/`: its manifests, or why it has none. The index asks, and shows it beside the image's tags.

A resource of our own, by an image's id of v1, at a path that the distribution protocol leaves to extensions.
"""

from __future__ import annotations

from typing import Any
from wsgiref.types import WSGIEnvironment

from common.distribution import NameUnknown
from common.errors import NotFound
from common.names import ImageId
from registry_service.api.delivery import Answer
from registry_service.api.v2 import lists
from registry_service.grants import Credentials
from registry_service.oci.manifests import Manifest
from registry_service.oci.translation import Translated
from registry_service.services import Registry

RETRY_SECONDS = 5


def facts(environ: WSGIEnvironment, registry: Registry, credentials: Credentials, reference: str) -> Answer:
    """200 with manifests or a problem; 202 while the image is being translated."""
    image = registry.located(credentials, ImageId(reference))
    if not registry.images.is_complete(image):
        raise NameUnknown("There is no such image")
    try:
        translated = registry.background_translations.of(image)
    except NotFound as failure:
        # It cannot be translated, or what it is based on is missing.
        return lists.as_json(environ, {"problem": failure.message})
    if translated is None:
        return lists.as_json(environ, {}, {"Retry-After": str(RETRY_SECONDS)}, status="202 ACCEPTED")
    return lists.as_json(environ, _described(translated))


def _described(translated: Translated) -> dict[str, Any]:
    """The first manifest is what a client gets that takes both. `size` is what a pull of all takes."""
    blobs = {layer.digest: layer.size for layer in translated.layers}
    return {
        "manifests": [_descriptor(manifest) for manifest in (translated.schema2, translated.oci)],
        "size": len(translated.config) + sum(blobs.values()),
    }


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    return {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.content)}
