"""Two processes of a mirror that are asked for the same new repository at once."""

from __future__ import annotations

import pytest

from common.errors import Forbidden
from registry_service.storage import paths
from registry_service.storage.driver import PathNotFound
from registry_service.storage.memory import Memory
from tests.clients.images import make_chain
from tests.units.registry_service.mirror_source import ACME, Site, serving

CHAIN = make_chain(1)


class Shared(Memory):
    """A store in which another process writes its mark, the first of a copy, just after it was not found here."""

    def get(self, path: str) -> bytes:
        try:
            return super().get(path)
        except PathNotFound:
            if path == paths.mirrored(ACME):
                self.put(path, b'{"compared": 0}')
            raise


@pytest.fixture
def server():
    with serving() as source:
        source.hold(CHAIN)
        yield source


def test_a_copy_that_another_process_has_begun_is_filled_here_too(server):
    site = Site(server.url, Shared())
    assert site.tags.all(ACME) == {"latest": CHAIN[0].id}
    assert [entry["id"] for entry in site.repositories.images(ACME)] == [CHAIN[0].id]


def test_a_copy_that_another_process_has_begun_is_no_repository_of_our_own(server):
    with pytest.raises(Forbidden):
        Site(server.url, Shared()).mirror.require_writable(ACME)
