"""The threads of a worker: how many there are, and that nothing is left undone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait

import pytest

from index_service.crew import FEW, SLOW_SECONDS, Crew


@pytest.fixture
def crew():
    made = Crew(FEW + 2)
    yield made
    made.shutdown(wait=False)
    deadline = time.monotonic() + 10
    while any(thread.name == "crew" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "threads are left"
        time.sleep(0.01)


class Gauge:
    """Counts who is at it at once."""

    def __init__(self):
        self.now = self.most = 0
        self.lock = threading.Lock()

    def run(self, seconds=0.0, until=None):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if until is not None:
            assert until.wait(10)
        time.sleep(seconds)
        with self.lock:
            self.now -= 1


def test_few_work_at_once(crew):
    gauge = Gauge()
    done, _ = wait([crew.submit(gauge.run, 0.002) for _ in range(60)], 10)
    assert len(done) == 60
    assert gauge.most == FEW


def test_who_is_slow_has_others_take_the_place_up_to_the_most(crew):
    stuck, go_on = Gauge(), threading.Event()
    slow = [crew.submit(stuck.run, 0.0, go_on) for _ in range(FEW)]
    quick = crew.submit(int, "7")
    time.sleep(SLOW_SECONDS + 0.1)
    assert not quick.done()
    crew.reinforce()
    assert quick.result(10) == 7
    slow += [crew.submit(stuck.run, 0.0, go_on) for _ in range(4)]
    deadline = time.monotonic() + 10
    while stuck.now < FEW + 2:
        assert time.monotonic() < deadline
        crew.reinforce()
        time.sleep(0.01)
    time.sleep(SLOW_SECONDS)
    crew.reinforce()
    time.sleep(0.05)
    assert stuck.most == FEW + 2
    go_on.set()
    assert len(wait(slow, 10).done) == FEW + 4


def test_when_nobody_is_slow_any_more_they_are_few_again(crew):
    go_on = threading.Event()
    slow = [crew.submit(go_on.wait, 10) for _ in range(FEW)]
    time.sleep(SLOW_SECONDS + 0.1)
    crew.reinforce()
    go_on.set()
    wait(slow, 10)
    gauge = Gauge()
    wait([crew.submit(gauge.run, 0.002) for _ in range(60)], 10)
    wait([crew.submit(gauge.run, 0.002) for _ in range(60)], 10)
    assert sum(thread.name == "crew" for thread in threading.enumerate()) <= FEW + 1


def test_what_work_raises_is_told_and_stops_no_thread(crew):
    failed = [crew.submit(int, "x") for _ in range(2 * FEW)]
    assert {type(each.exception(10)) for each in failed} == {ValueError}
    assert isinstance(crew.submit(exit_thread).exception(10), SystemExit)
    assert crew.submit(int, "7").result(10) == 7


def exit_thread():
    raise SystemExit


def test_what_was_given_before_the_end_is_done():
    crew = Crew(1)
    jobs = [crew.submit(time.sleep, 0.01) for _ in range(5)]
    crew.shutdown(wait=False)
    assert len(wait(jobs, 10).done) == 5
