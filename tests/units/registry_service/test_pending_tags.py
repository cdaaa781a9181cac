"""Tags changed while the index could not be reached: what each later answer of the index does to them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from common.agents import Agent
from common.errors import Failure, Forbidden, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from registry_service import pending_tags
from registry_service.graph.leases import Leases
from registry_service.index_client import IndexUnreachable
from registry_service.pending_tags import PendingTags, TagChange
from registry_service.seal import Seal
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.servers.process import eventually
from tests.units.registry_service.graph.store import Store

APP, OTHER, LATEST = RepositoryName("acme", "app"), RepositoryName("acme", "other"), Tag("latest")
BEFORE, NOW, LATER = (ImageId(digit * 64) for digit in "abc")
KEYS = ["k" * 32]
TOKEN = "Token signature=good,repository=acme/app,access=write"


class Index:
    """Answers with these failures in turn, then consents."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.consented: list[tuple[RepositoryName, ImageId | None, str]] = []

    def set_tag(self, repository: RepositoryName, tag: Tag, image: ImageId, authorization: str) -> None:
        self._answer(repository, image, authorization)

    def delete_tag(self, repository: RepositoryName, tag: Tag, authorization: str) -> None:
        self._answer(repository, None, authorization)

    def _answer(self, repository: RepositoryName, image: ImageId | None, authorization: str) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.consented.append((repository, image, authorization))

    @property
    def has_spoken(self) -> bool:
        return not self._failures


class Quay(Store):
    """A store, and one process of a registry that has it."""

    def __init__(self, index: Index, driver: Driver | None = None, keys: list[str] = KEYS) -> None:
        super().__init__(driver or Memory())
        self.pending = PendingTags(self.driver, self.tags, index, keys, retry_seconds=0.01, look_seconds=0.05)

    def change(
        self, now: ImageId | None = NOW, before: ImageId | None = BEFORE, repository: RepositoryName = APP
    ) -> None:
        """As a request does for which nobody could be asked."""
        change = TagChange(repository=repository, tag=LATEST, now=now, before=before, agent=Agent())
        self.pending.add(change, TOKEN)
        if self.find(repository) != now:
            self.tags.change(repository, LATEST, now, Agent())

    def find(self, repository: RepositoryName = APP) -> ImageId | None:
        return self.tags.find(repository, LATEST)

    def again(self, index: Index, keys: list[str] = KEYS) -> Quay:
        """Another process, which remembers nothing."""
        return Quay(index, self.driver, keys)

    def is_settled(self) -> bool:
        return not self.driver.exists(paths.PENDING) and not self.driver.exists(paths.PENDING_CLAIM)


@pytest.mark.parametrize(
    "failure",
    [IndexUnreachable(), Unavailable("status 500"), Unavailable("too many requests"), RuntimeError("a surprise")],
    ids=str,
)
def test_an_index_that_fails_has_refused_nothing(failure: Exception) -> None:
    index = Index(failure, failure)
    quay = Quay(index)
    quay.change()
    quay.pending.start()
    eventually(lambda: bool(index.consented), lambda: "the index was not asked again", patience=5)
    eventually(quay.is_settled, lambda: "a record is left", patience=5)
    assert index.consented == [(APP, NOW, TOKEN)]
    assert quay.find() == NOW


@pytest.mark.parametrize("before", [BEFORE, None], ids=["moved", "new"])
@pytest.mark.parametrize("refusal", [Unauthenticated("no"), Forbidden("no")], ids=repr)
def test_what_the_index_refuses_is_as_it_was(refusal: Failure, before: ImageId | None) -> None:
    quay = Quay(Index(refusal))
    quay.change(before=before)
    quay.pending.start()
    eventually(lambda: quay.find() == before, lambda: "what the index refused stands", patience=5)
    eventually(quay.is_settled, lambda: "a record is left", patience=5)


@pytest.mark.parametrize("refusal", [None, Forbidden("no")], ids=["made good", "undone"])
@pytest.mark.parametrize("deletes", [False, True], ids=["set", "deleted"])
@pytest.mark.parametrize("kind", ["memory", "filesystem"])
def test_a_process_that_ended_has_forgotten_nothing(
    refusal: Failure | None, deletes: bool, kind: str, tmp_path: Path
) -> None:
    driver = Guard(Memory() if kind == "memory" else Filesystem(tmp_path))
    first, now = Quay(Index(), driver), None if deletes else NOW
    first.tags.set(APP, LATEST, BEFORE, Agent())
    first.change(now=now)
    index = Index(*filter(None, [refusal]))
    second = first.again(index)
    second.pending.retry()
    assert second.find() == (BEFORE if refusal else now)
    assert index.consented == ([] if refusal else [(APP, now, TOKEN)])
    assert second.is_settled()


def test_a_process_finds_what_another_recorded_while_it_ran() -> None:
    index = Index()
    waiting = Quay(index)
    waiting.pending.start()
    waiting.again(Index()).change()
    eventually(lambda: bool(index.consented), lambda: "nobody asked", patience=5)


def test_of_a_tag_changed_twice_what_it_was_at_first_counts() -> None:
    quay = Quay(Index(Forbidden("no")))
    quay.change()
    quay.change(now=LATER, before=NOW)
    assert len(list(quay.driver.list(paths.PENDING))) == 1
    quay.again(Index(Forbidden("no"))).pending.retry()
    assert quay.find() == BEFORE


def test_a_later_change_with_consent_settles_the_earlier() -> None:
    quay = Quay(Index())
    quay.change()
    quay.change(repository=OTHER)
    quay.pending.settle(APP, LATEST)
    index = Index()
    quay.again(index).pending.retry()
    assert index.consented == [(OTHER, NOW, TOKEN)]


def test_a_change_that_is_recorded_and_not_made_yet_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    quay, index = Quay(Index()), Index()
    change = TagChange(repository=APP, tag=LATEST, now=NOW, before=None, agent=Agent())
    quay.pending.add(change, TOKEN)
    other = quay.again(index)
    assert other.pending.retry()
    assert quay.driver.exists(paths.PENDING)
    monkeypatch.setattr(pending_tags, "UNMADE_SECONDS", 0)
    other.pending.retry()
    assert other.is_settled()
    assert not index.consented
    assert quay.find() is None


def test_one_process_at_a_time_asks() -> None:
    quay, index = Quay(Index()), Index()
    quay.change()
    held = Leases(quay.driver).acquire(paths.PENDING_CLAIM, "another")
    assert held is not None
    assert quay.again(index).pending.retry()
    assert not index.consented
    Leases(quay.driver).release(held)
    quay.again(index).pending.retry()
    assert index.consented


def test_an_index_that_is_down_is_asked_about_one_tag_and_one_that_fails_about_all() -> None:
    down, failing = Index(*[IndexUnreachable()] * 9), Index(*[Unavailable("status 500")] * 9)
    quay = Quay(Index())
    for number in range(3):
        quay.change(repository=RepositoryName("acme", f"app{number}"))
    quay.again(down).pending.retry()
    quay.again(failing).pending.retry()
    assert (len(down._failures), len(failing._failures)) == (8, 6)
    assert len(list(quay.driver.list(paths.PENDING))) == 3


def test_a_store_that_fails_to_undo_is_asked_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    quay = Quay(Index(Forbidden("no"), Forbidden("no")))
    quay.change()
    with monkeypatch.context() as broken:
        broken.setattr(quay.tags, "change", lambda *_: (_ for _ in ()).throw(Unavailable("the store")))
        quay.pending.retry()
    assert quay.find() == NOW
    quay.pending.retry()
    assert quay.find() == BEFORE
    assert quay.is_settled()


def test_who_reads_the_store_reads_no_token_and_other_keys_open_none(monkeypatch: pytest.MonkeyPatch) -> None:
    quay = Quay(Index())
    quay.change()
    (name,) = quay.driver.list(paths.PENDING)
    assert b"good" not in quay.driver.get(f"{paths.PENDING}/{name}")
    foreign = quay.again(Index(), ["f" * 32])
    foreign.pending.retry()
    assert quay.driver.exists(paths.PENDING), "those who have the key may come back"
    monkeypatch.setattr(pending_tags, "UNREADABLE_SECONDS", 0)
    quay.again(Index(Unauthenticated("an expired token")), ["f" * 32]).pending.retry()
    assert quay.find() == BEFORE
    assert quay.is_settled()


def test_a_record_that_cannot_be_read_keeps_no_other_from_being_asked_about() -> None:
    quay, index = Quay(Index()), Index()
    quay.change()
    quay.driver.put(f"{paths.PENDING}/0.0", b"torn")
    quay.again(index).pending.retry()
    assert index.consented


def test_many_changes_at_once_leave_one_answer_and_nothing_else() -> None:
    quay, together = Quay(Index()), threading.Barrier(8)

    def change(number: int) -> None:
        together.wait()
        quay.pending.add(
            TagChange(repository=APP, tag=LATEST, now=ImageId(f"{number:064x}"), before=BEFORE, agent=Agent()), TOKEN
        )

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.01)
    quay.change(before=NOW)
    quay.again(Index(Forbidden("no"))).pending.retry()
    assert quay.find() == BEFORE
    assert quay.is_settled()


def test_a_seal_opens_with_any_of_its_keys_and_only_as_it_was_made() -> None:
    old, both, other = Seal(["old"]), Seal(["new", "old"]), Seal(["other"])
    sealed = old.seal(TOKEN)
    assert sealed != old.seal(TOKEN)
    assert (old.open(sealed), both.open(sealed), other.open(sealed)) == (TOKEN, TOKEN, None)
    assert old.open(both.seal(TOKEN)) is None
    changed = sealed[:30] + ("A" if sealed[30] != "A" else "B") + sealed[31:]
    for wrong in ("", "?", sealed[:-4], sealed[4:], changed):
        assert both.open(wrong) is None
