"""Turns: few at once, in order, nobody lost, and no turn with them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_service.turns import TooLate, Turns


def test_turns_are_taken_in_the_order_of_coming():
    turns, order, go_on = Turns(1), [], threading.Event()

    def take(number):
        with turns.turn(10):
            order.append(number)
            go_on.wait(10)

    with ThreadPoolExecutor(20) as pool:
        for number in range(20):
            pool.submit(take, number)
            while len(order) + len(turns._queue) <= number:
                time.sleep(0.001)
        go_on.set()
    assert order == list(range(20))


def test_who_gives_up_takes_no_turn_with_him():
    turns = Turns(2)
    held = [turns.turn(1), turns.turn(1)]
    for each in held:
        each.__enter__()
    for _ in range(5):
        with pytest.raises(TooLate), turns.turn(0.01):
            pass
    for each in held:
        each.__exit__(None, None, None)
    again = [turns.turn(0.01), turns.turn(0.01)]
    for each in again:
        each.__enter__()
    with pytest.raises(TooLate), turns.turn(0.01):
        pass


def test_many_who_give_up_while_turns_are_handed_on_lose_none():
    turns = Turns(3)

    def come(_):
        try:
            with turns.turn(0.002):
                time.sleep(0.001)
        except TooLate:
            return 0
        return 1

    with ThreadPoolExecutor(24) as pool:
        assert 0 < sum(pool.map(come, range(2000))) <= 2000
    assert turns._free == 3
    assert not turns._queue


def test_a_turn_that_cannot_come_in_time_is_refused_at_once(monkeypatch):
    turns, go_on, now = Turns(1), threading.Event(), [0.0]
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        for _ in range(60):
            with turns.turn(1):
                now[0] += 2

    def take():
        with turns.turn(600):
            go_on.wait(600)

    with ThreadPoolExecutor(40) as pool:
        for number in range(40):
            pool.submit(take)
            while number > len(turns._queue) or turns._free:
                time.sleep(0.001)
        began = time.monotonic()
        with pytest.raises(TooLate) as late, turns.turn(60):
            pass
        assert time.monotonic() - began < 30
        assert 60 < late.value.seconds < 39 * 2
        go_on.set()
