"""The threads of a worker: how many there are, and that nothing is left undone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait

import pytest

from index_service import thread_pool
from index_service.thread_pool import MIN_THREADS, ElasticThreadPool
from tests.servers.process import eventually


@pytest.fixture
def pool():
    made = ElasticThreadPool(MIN_THREADS + 2)
    yield made
    made.shutdown(wait=False)
    eventually(lambda: threads() == 0, lambda: "threads are left")


@pytest.fixture(autouse=True)
def count_none_as_blocked(monkeypatch):
    """However long a busy machine lets one wait."""
    monkeypatch.setattr(thread_pool, "SLOW_SECONDS", 3600)


def count_all_as_blocked(monkeypatch):
    monkeypatch.setattr(thread_pool, "SLOW_SECONDS", -1)


def threads():
    return sum(thread.name == "pool" for thread in threading.enumerate())


class Gauge:
    """Counts the calls that run at once."""

    def __init__(self):
        self.now = self.most = 0
        self.lock = threading.Lock()

    def run(self, seconds=0.0, until=None):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if until is not None:
            assert until.wait(60)
        time.sleep(seconds)
        with self.lock:
            self.now -= 1


def test_an_idle_pool_has_the_minimum_of_threads(pool):
    gauge, go_on = Gauge(), threading.Event()
    jobs = [pool.submit(gauge.run, 0.0, go_on) for _ in range(60)]
    eventually(lambda: gauge.now == MIN_THREADS, lambda: f"{gauge.now} run at once")
    pool.grow()
    go_on.set()
    assert len(wait(jobs, 60).done) == 60
    assert gauge.most == MIN_THREADS


def test_the_pool_grows_up_to_its_maximum_while_threads_are_blocked(pool, monkeypatch):
    stuck, go_on = Gauge(), threading.Event()
    slow = [pool.submit(stuck.run, 0.0, go_on) for _ in range(MIN_THREADS)]
    quick = pool.submit(int, "7")
    eventually(lambda: stuck.now == MIN_THREADS, lambda: f"{stuck.now} run")
    pool.grow()
    assert not wait([quick], 0.05).done
    count_all_as_blocked(monkeypatch)
    pool.grow()
    assert quick.result(60) == 7
    slow += [pool.submit(stuck.run, 0.0, go_on) for _ in range(4)]

    def has_grown():
        pool.grow()
        return stuck.now == MIN_THREADS + 2

    eventually(has_grown, lambda: f"{stuck.now} run")
    pool.grow()
    time.sleep(0.05)
    assert stuck.most == MIN_THREADS + 2
    go_on.set()
    assert len(wait(slow, 60).done) == MIN_THREADS + 4


def test_the_pool_shrinks_once_no_thread_is_blocked(pool, monkeypatch):
    stuck, go_on = Gauge(), threading.Event()
    slow = [pool.submit(stuck.run, 0.0, go_on) for _ in range(MIN_THREADS)]
    eventually(lambda: stuck.now == MIN_THREADS, lambda: f"{stuck.now} run")
    count_all_as_blocked(monkeypatch)
    pool.grow()
    assert threads() > MIN_THREADS
    monkeypatch.setattr(thread_pool, "SLOW_SECONDS", 3600)
    go_on.set()
    wait(slow, 60)
    wait([pool.submit(int, "7") for _ in range(60)], 60)
    eventually(lambda: threads() == MIN_THREADS, lambda: f"there are {threads()} threads")


def test_an_exception_reaches_the_future_and_ends_no_thread(pool):
    failed = [pool.submit(int, "x") for _ in range(2 * MIN_THREADS)]
    assert {type(each.exception(10)) for each in failed} == {ValueError}
    assert isinstance(pool.submit(exit_thread).exception(10), SystemExit)
    assert pool.submit(int, "7").result(10) == 7


def exit_thread():
    raise SystemExit


def test_work_submitted_before_shutdown_is_done():
    pool = ElasticThreadPool(1)
    jobs = [pool.submit(time.sleep, 0.01) for _ in range(5)]
    pool.shutdown(wait=False)
    assert len(wait(jobs, 10).done) == 5


def test_urgent_jobs_overtake_and_the_others_get_their_part_of_the_time():
    pool, go_on, order = ElasticThreadPool(1), threading.Event(), []
    first = pool.submit(go_on.wait, 10)
    others = [pool.submit(order.append, f"other {number}") for number in range(3)]
    urgent = [pool.submit(order.append, f"urgent {number}", urgent=True) for number in range(3)]
    go_on.set()
    assert len(wait([first, *others, *urgent], 10).done) == 7
    assert order == [f"{kind} {number}" for kind in ("urgent", "other") for number in range(3)]
    seconds, order[:] = 0.02, []

    def work(kind):
        order.append(kind)
        time.sleep(seconds)

    wait([pool.submit(work, "other") for _ in range(60)], 10)
    order.clear()
    jobs = [pool.submit(work, "other") for _ in range(4)]
    jobs += [pool.submit(work, "urgent", urgent=True) for _ in range(40)]
    assert len(wait(jobs, 20).done) == 44
    assert order.count("other") == 4
    assert {"urgent", "other"} == set(order[:20]), order
    pool.shutdown(wait=False)


def test_the_wait_of_a_job_is_foreseen():
    pool, go_on = ElasticThreadPool(MIN_THREADS), threading.Event()
    assert pool.expected_wait() == 0
    wait([pool.submit(time.sleep, 0.02) for _ in range(60)], 60)
    jobs = [pool.submit(go_on.wait, 60) for _ in range(MIN_THREADS + 100)]
    # Half a second at least, and longer where a busy machine lets those who sleep 0.02 s sleep for longer.
    assert 0.5 < pool.expected_wait() < 50
    go_on.set()
    wait(jobs, 60)
    assert pool.expected_wait() == 0
    pool.shutdown(wait=False)
