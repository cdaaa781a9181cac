"""Which store it is: the same for all processes of it, and another for every other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_service.graph import store_identity
from registry_service.graph.store_identity import StoreIdentity
from registry_service.storage import paths
from registry_service.storage.driver import StorageFailure
from registry_service.storage.memory import Memory


class ReadOnly(Memory):
    """A store that takes nothing for a while; `asked` counts how often it was asked to."""

    is_read_only = True
    asked = 0

    def create(self, path: str, content: bytes) -> bool:
        self.asked += 1
        if self.is_read_only:
            raise StorageFailure(path)
        return super().create(path, content)


def test_all_processes_of_a_store_tell_the_same() -> None:
    driver = Memory()
    with ThreadPoolExecutor(8) as pool:
        told = set(pool.map(lambda _: StoreIdentity(driver).tell(), range(64)))
    assert told == {driver.get(paths.STORE_ID).decode()}
    assert StoreIdentity(Memory()).tell() not in told


def test_a_store_that_takes_nothing_has_none_and_is_seldom_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = ReadOnly()
    identity = StoreIdentity(driver)
    assert [identity.tell() for _ in range(5)] == [None] * 5
    assert driver.asked == 1
    driver.is_read_only = False
    monkeypatch.setattr(store_identity, "RETRY_SECONDS", 0.0)
    assert StoreIdentity(driver).tell() is not None


@pytest.mark.parametrize("content", [b"", b"-", b"*", b"\xff" * 32, b"a" * 31])
def test_what_is_no_identity_is_none(content: bytes) -> None:
    driver = Memory()
    driver.put(paths.STORE_ID, content)
    assert StoreIdentity(driver).tell() is None
    driver.delete(paths.STORE_ID)
    assert StoreIdentity(driver).tell() is not None
