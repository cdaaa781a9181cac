"""Tags changed while the index could not be reached: what each later answer of the index does to them."""

from __future__ import annotations

import pytest

from common.agents import Agent
from common.errors import Failure, Forbidden, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from registry_service.index_client import IndexUnreachable
from registry_service.pending_tags import PendingTag, PendingTags
from registry_service.storage.memory import Memory
from tests.servers.process import eventually
from tests.units.registry_service.graph.store import Store

APP, LATEST = RepositoryName("acme", "app"), Tag("latest")
BEFORE, NOW = ImageId("a" * 64), ImageId("b" * 64)


class Index:
    """Answers with these failures in turn, then consents."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.has_consented = False

    def ask(self) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.has_consented = True

    @property
    def has_spoken(self) -> bool:
        return self.has_consented or not self._failures


def changed(index: Index, before: ImageId | None = BEFORE) -> Store:
    """A store in which the tag was moved without the index, and the index has answered for good."""
    store = Store(Memory())
    store.tags.set(APP, LATEST, NOW, Agent())
    pending = PendingTags(store.tags, retry_seconds=0.01)
    pending.add(PendingTag(repository=APP, tag=LATEST, now=NOW, before=before, agent=Agent(), ask=index.ask))
    eventually(lambda: index.has_spoken, lambda: "the index was not asked again", patience=5)
    return store


@pytest.mark.parametrize(
    "failure",
    [IndexUnreachable(), Unavailable("status 500"), Unavailable("too many requests"), RuntimeError("a surprise")],
    ids=str,
)
def test_an_index_that_fails_has_refused_nothing(failure: Exception) -> None:
    index = Index(failure, failure)
    store = changed(index)
    eventually(lambda: index.has_consented, lambda: "the index was not asked again", patience=5)
    assert store.tags.find(APP, LATEST) == NOW


@pytest.mark.parametrize("before", [BEFORE, None], ids=["moved", "new"])
@pytest.mark.parametrize("refusal", [Unauthenticated("no"), Forbidden("no")], ids=repr)
def test_what_the_index_refuses_is_as_it_was(refusal: Failure, before: ImageId | None) -> None:
    store = changed(Index(refusal), before)
    eventually(lambda: store.tags.find(APP, LATEST) == before, lambda: "what the index refused stands", patience=5)
