"""The scoreboard: what each process tells is seen by the others, and whoever is gone counts no more."""

from __future__ import annotations

import os

from index_service.scoreboard import SLOTS, Scoreboard


def test_a_forked_process_tells_and_the_others_see_it():
    board = Scoreboard()
    mine, other = board.join(), board.join()
    board.publish(mine, 7)
    child = os.fork()
    if child == 0:
        board.publish(other, 3)
        os._exit(0)
    os.waitpid(child, 0)
    assert board.lowest() == 3


def test_only_who_is_there_counts():
    board = Scoreboard()
    first, second = board.join(), board.join()
    assert board.lowest() is None
    board.publish(first, 5)
    board.publish(second, 0)
    assert board.lowest() == 0
    board.leave(second)
    assert board.lowest() == 5
    board.publish(first, None)
    assert board.lowest() is None


def test_a_place_is_given_again():
    board = Scoreboard()
    for _ in range(SLOTS + 5):
        place = board.join()
        assert place is not None
        board.leave(place)


def test_who_finds_no_place_goes_without():
    board = Scoreboard()
    places = [board.join() for _ in range(SLOTS)]
    assert len(set(places)) == SLOTS
    assert board.join() is None
    board.publish(None, 1)
    board.leave(None)
    assert board.lowest() is None
