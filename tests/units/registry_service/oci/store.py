"""A store with translations, and images of any JSON and any layer to push into it."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.names import ImageId
from registry_service.oci.lookup import Lookup
from registry_service.oci.records import Records
from registry_service.oci.translation import Translations
from registry_service.storage.driver import Driver
from tests.units.registry_service.graph.store import Image, Store, tar


@dataclass(frozen=True)
class Made(Image):
    """An image whose layer is stored in just these bytes."""

    stored: bytes = b""
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> bytes:
        return json.dumps({**json.loads(super().json), **self.members}).encode()

    @property
    def layer(self) -> bytes:
        return self.stored or super().layer


class OciStore(Store):
    """What a process holds that translates."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self.records = Records(driver)
        self.translations = Translations(driver, self.images, self.records)
        self.lookup = Lookup(driver, self.tags, self.records)

    def blob(self, image: ImageId) -> bytes:
        """A layer's blob as a client gets it, which agrees with what is said of it."""
        record, layer = self.translations.layer(image), self.translations.blob(image)
        with self.images.open_layer(layer) as reader:
            content = b"".join(reader)
        assert (len(content), layer.size) == (record.size, record.size)
        assert layer.etag == f'"{record.digest}"' == f'"sha256:{hashlib.sha256(content).hexdigest()}"'
        return content


def gunzip_strictly(content: bytes) -> bytes:
    """As Go does: members one after the other, whole, and nothing else."""
    unpacked = b""
    while content:
        member = zlib.decompressobj(31)
        unpacked += member.decompress(content)
        assert member.eof
        content = member.unused_data
    return unpacked


def inflated(pack: Callable[[bytes], bytes]) -> bytes:
    """Small, but no client reads it as it is, and its tar takes more than 64 MiB: zeros, in streams with a gap."""
    return pack(TAR) + bytes(4) + pack(bytes(2**20)) * 64


TAR = tar({"./etc/": b"", "./etc/passwd": b"root:x:0:0\n" * 400, "./bin": bytes(range(256)) * 300})
