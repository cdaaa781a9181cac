"""What is retried, how often, after which pauses, and until when."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from http.client import IncompleteRead

import pytest

from registry_service.storage import retrying
from registry_service.storage.driver import PathNotFound, StorageFailure
from registry_service.storage.retrying import BROKEN, MAX_BACKOFF_SECONDS, NoAnswer, Refused, Retries, RetryPolicy

QUICK = RetryPolicy(4, backoff_seconds=0.001)


class Attempts:
    """Fails with each of these in turn, then answers the number of the attempt."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.numbers: list[int] = []

    def __call__(self, number: int) -> int:
        self.numbers.append(number)
        if self.failures:
            raise self.failures.pop(0)
        return number


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made here, which take no time; threads of other tests go on to sleep."""
    made: list[float] = []
    own, sleep = threading.get_ident(), time.sleep

    def pause(seconds: float) -> None:
        if threading.get_ident() == own:
            made.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    return made


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_is_transient_is_attempted_again(status: int) -> None:
    attempts = Attempts(Refused("a", status), NoAnswer("a", "it hung up"))
    assert QUICK.call(attempts) == 3
    assert attempts.numbers == [1, 2, 3]


@pytest.mark.parametrize(
    "failure", [Refused("a", 403), Refused("a", 409), Refused("a", 501), PathNotFound("a"), StorageFailure("a")]
)
def test_what_is_not_is_raised_at_once(failure: Exception) -> None:
    attempts = Attempts(failure)
    with pytest.raises(type(failure)) as caught:
        QUICK.call(attempts)
    assert caught.value is failure
    assert attempts.numbers == [1]


@pytest.mark.parametrize("failure", [Refused("a", 409), Refused("a", 400, code="SlowDown")])
def test_a_driver_may_add_statuses_and_codes(failure: Refused) -> None:
    policy = RetryPolicy(2, (409, "SlowDown"), backoff_seconds=0.001)
    assert policy.call(Attempts(failure)) == 2


def test_a_refusal_without_a_code_is_not_taken_for_an_added_one() -> None:
    assert not RetryPolicy(2, ("SlowDown",)).is_transient(Refused("a", 400))


def test_the_last_failure_is_what_is_raised() -> None:
    failures = [Refused("a", 503, attempt=number) for number in range(1, 9)]
    with pytest.raises(Refused, match="the store answers 503 at attempt 4") as caught:
        QUICK.call(Attempts(*failures))
    assert caught.value is failures[3]


def test_a_judgement_of_ones_own() -> None:
    assert QUICK.call(Attempts(KeyError(), KeyError()), lambda error: isinstance(error, KeyError)) == 3
    with pytest.raises(Refused):
        QUICK.call(Attempts(Refused("a", 503)), lambda error: isinstance(error, KeyError))


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), IncompleteRead(b"")])
def test_broken_connections(error: Exception) -> None:
    assert isinstance(error, BROKEN)


def test_backoff_doubles_up_to_a_bound(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    with pytest.raises(Refused):
        RetryPolicy(9).call(Attempts(*[Refused("a", 503)] * 9))
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, MAX_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS]


def test_jitter_is_full(pauses: list[float]) -> None:
    """From nothing to the whole backoff, so that those who failed together do not come back together."""
    for _ in range(500):
        Retries(RetryPolicy(2)).wait()
    assert 0 <= min(pauses) < 0.02
    assert 0.18 < max(pauses) <= 0.2
    assert 0.08 < sum(pauses) / len(pauses) < 0.12


def after(seconds: float, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Moves the clock on."""
    start, moved = time.monotonic(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: start + moved[0])

    def move() -> None:
        moved[0] += seconds

    return move


def test_no_attempt_begins_after_the_deadline(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    move = after(retrying.DEADLINE_SECONDS / 2 + 1, monkeypatch)
    numbers = []

    def attempt(number: int) -> None:
        numbers.append(number)
        move()
        raise NoAnswer("a", "the store does not answer in time")

    with pytest.raises(NoAnswer):
        RetryPolicy(100).call(attempt)
    assert numbers == [1, 2]


def test_the_deadline_leaves_room_for_what_the_settings_say_by_default(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five attempts, each of which a store's silence ends after a minute."""
    move = after(60, monkeypatch)
    numbers = []

    def attempt(number: int) -> None:
        numbers.append(number)
        move()
        raise NoAnswer("a", "the store does not answer in time")

    with pytest.raises(NoAnswer):
        RetryPolicy(5).call(attempt)
    assert numbers == [1, 2, 3, 4, 5]
