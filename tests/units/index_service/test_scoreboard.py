"""The scoreboard: what each process tells is seen by the others, and whoever is gone counts no more."""

from __future__ import annotations

import os

from index_service.scoreboard import PLACES, Scoreboard


def test_a_forked_process_tells_and_the_others_see_it():
    board = Scoreboard()
    mine, other = board.join(), board.join()
    board.tell(mine, 7)
    child = os.fork()
    if child == 0:
        board.tell(other, 3)
        os._exit(0)
    os.waitpid(child, 0)
    assert board.least() == 3


def test_only_who_is_there_counts():
    board = Scoreboard()
    first, second = board.join(), board.join()
    assert board.least() is None
    board.tell(first, 5)
    board.tell(second, 0)
    assert board.least() == 0
    board.leave(second)
    assert board.least() == 5
    board.tell(first, None)
    assert board.least() is None


def test_a_place_is_given_again():
    board = Scoreboard()
    for _ in range(PLACES + 5):
        place = board.join()
        assert place is not None
        board.leave(place)


def test_who_finds_no_place_goes_without():
    board = Scoreboard()
    places = [board.join() for _ in range(PLACES)]
    assert len(set(places)) == PLACES
    assert board.join() is None
    board.tell(None, 1)
    board.leave(None)
    assert board.least() is None
