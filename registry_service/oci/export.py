"""Export of translated images to an OCI image layout."""

from __future__ import annotations

from collections.abc import Iterable

from common.errors import Invalid
from common.names import RepositoryName
from registry_service.graph.images import Images
from registry_service.oci.bulk import BulkTranslation, Progress, Tagged, TagReport
from registry_service.oci.layout import Layout, is_reference
from registry_service.oci.translation import LayerBlob, Translated, Translations


class Export:
    """Brings what the tags of repositories name into a layout."""

    def __init__(self, layout: Layout, images: Images, translations: Translations, bulk: BulkTranslation) -> None:
        self._layout = layout
        self._images = images
        self._translations = translations
        self._bulk = bulk
        # The manifests that have come, by their names in the layout.
        self._came: dict[str, bytes] = {}

    def run(self, repositories: Iterable[RepositoryName], workers: int, progress: Progress) -> list[TagReport]:
        """A report for each tag. Tags that have come are named in the layout when all have. Raises as `bulk.run` does,
        and Unavailable.
        """
        reports = list(self._bulk.run(repositories, workers, progress, self._add))
        self._layout.name({name: self._came[name] for name in map(_name, reports) if name in self._came})
        return reports

    def _add(self, translated: Translated, tagged: Tagged) -> None:
        """The manifest last: what it names is there."""
        name = _name(tagged)
        if not is_reference(name):
            raise Invalid("this is no name in an OCI image layout")
        for blob in translated.layers:
            if not self._layout.has(blob.digest, blob.size):
                self._add_layer(blob)
        self._layout.add(translated.config)
        self._layout.add(translated.oci.content)
        self._came[name] = translated.oci.content

    def _add_layer(self, blob: LayerBlob) -> None:
        layer = self._translations.blob(blob.image)
        path = self._images.local_path(layer)
        if path is None or not self._layout.link(blob.digest, path):
            with self._images.open_layer(layer) as reader:
                self._layout.copy(blob.digest, reader)


def _name(tagged: Tagged | TagReport) -> str:
    return f"{tagged.repository}:{tagged.tag}"
