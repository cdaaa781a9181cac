"""Every process behind the shipped nginx is restarted, one after another: no request fails that could be answered."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.generations import GENERATIONS, NEWEST
from tests.journeys.test_front import Harbour, start_harbour
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.services import Account, Service, answers, sign_up

PAUSE_SECONDS = 1.0
"""Between the end of one restart and the next."""


@pytest.fixture
def harbour(tmp_path: Path) -> Iterator[Harbour]:
    started = start_harbour(tmp_path)
    yield started
    started.stop()


def restart(service: Service) -> None:
    service.process.terminate()
    assert service.process.wait() == 0
    service.process.start(lambda: answers(service.target))


class Load:
    """People and daemons that go on until they are stopped; the first failure of each is raised at the end."""

    def __init__(self, harbour: Harbour) -> None:
        self._harbour = harbour
        self._numbers = itertools.count()
        self._is_over = threading.Event()
        self._name = harbour.setup.fresh_name("pulled")
        self._chain = chain_for(NEWEST, 2)
        daemon_of(NEWEST, harbour.setup).push(self._name, self._chain)

    def run(self, work: Callable[[], None]) -> int:
        """How often the work was done."""
        done = 0
        while not self._is_over.is_set():
            work()
            done += 1
            time.sleep(0.02)
        return done

    def stop(self) -> None:
        self._is_over.set()

    def pull(self) -> None:
        same_bytes(daemon_of(NEWEST, self._harbour.setup).pull(self._name), self._chain)

    def push(self) -> None:
        number = next(self._numbers)
        generation = GENERATIONS[number % len(GENERATIONS)]
        name = self._harbour.setup.fresh_name(f"pushed-{number}")
        daemon_of(generation, self._harbour.setup).push(name, chain_for(generation, 2))

    def sign_up(self) -> None:
        sign_up(self._harbour.setup.index, Account(f"sailor{next(self._numbers)}"))

    def log_in(self) -> None:
        daemon_of(GENERATIONS[next(self._numbers) % len(GENERATIONS)], self._harbour.setup).login()


def test_a_rolling_restart_is_noticed_by_nobody(harbour: Harbour) -> None:
    load = Load(harbour)
    with ThreadPoolExecutor(4) as clients:
        works = (load.pull, load.push, load.sign_up, load.log_in)
        working: list[Future[int]] = [clients.submit(load.run, work) for work in works]
        try:
            for service in (*harbour.registries, *harbour.indexes):
                restart(service)
                time.sleep(PAUSE_SECONDS)
        finally:
            load.stop()
    assert all(one.result() > 0 for one in working)
