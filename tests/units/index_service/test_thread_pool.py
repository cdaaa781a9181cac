"""The threads of a worker: how many there are, and that nothing is left undone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait

import pytest

from index_service.thread_pool import MIN_THREADS, SLOW_SECONDS, ElasticThreadPool


@pytest.fixture
def pool():
    made = ElasticThreadPool(MIN_THREADS + 2)
    yield made
    made.shutdown(wait=False)
    deadline = time.monotonic() + 10
    while any(thread.name == "pool" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "threads are left"
        time.sleep(0.01)


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
            assert until.wait(10)
        time.sleep(seconds)
        with self.lock:
            self.now -= 1


def test_an_idle_pool_has_the_minimum_of_threads(pool):
    gauge = Gauge()
    done, _ = wait([pool.submit(gauge.run, 0.002) for _ in range(60)], 10)
    assert len(done) == 60
    assert gauge.most == MIN_THREADS


def test_the_pool_grows_up_to_its_maximum_while_threads_are_blocked(pool):
    stuck, go_on = Gauge(), threading.Event()
    slow = [pool.submit(stuck.run, 0.0, go_on) for _ in range(MIN_THREADS)]
    quick = pool.submit(int, "7")
    time.sleep(SLOW_SECONDS + 0.1)
    assert not quick.done()
    pool.grow()
    assert quick.result(10) == 7
    slow += [pool.submit(stuck.run, 0.0, go_on) for _ in range(4)]
    deadline = time.monotonic() + 10
    while stuck.now < MIN_THREADS + 2:
        assert time.monotonic() < deadline
        pool.grow()
        time.sleep(0.01)
    time.sleep(SLOW_SECONDS)
    pool.grow()
    time.sleep(0.05)
    assert stuck.most == MIN_THREADS + 2
    go_on.set()
    assert len(wait(slow, 10).done) == MIN_THREADS + 4


def test_the_pool_shrinks_once_no_thread_is_blocked(pool):
    go_on = threading.Event()
    slow = [pool.submit(go_on.wait, 10) for _ in range(MIN_THREADS)]
    time.sleep(SLOW_SECONDS + 0.1)
    pool.grow()
    go_on.set()
    wait(slow, 10)
    gauge = Gauge()
    wait([pool.submit(gauge.run, 0.002) for _ in range(60)], 10)
    wait([pool.submit(gauge.run, 0.002) for _ in range(60)], 10)
    assert sum(thread.name == "pool" for thread in threading.enumerate()) <= MIN_THREADS + 1


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
    wait([pool.submit(time.sleep, 0.02) for _ in range(60)], 10)
    jobs = [pool.submit(go_on.wait, 10) for _ in range(MIN_THREADS + 100)]
    assert 0.5 < pool.expected_wait() < 5
    go_on.set()
    wait(jobs, 10)
    assert pool.expected_wait() == 0
    pool.shutdown(wait=False)
