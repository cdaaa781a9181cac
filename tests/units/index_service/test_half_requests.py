"""Which half request goes first, and that nothing is kept of those that are gone."""

from __future__ import annotations

import pytest

from index_service.half_requests import (
    MAX_BYTES,
    MAX_BYTES_PER_CLIENT,
    MAX_REQUESTS,
    MAX_REQUESTS_PER_CLIENT,
    HalfRequests,
)


def filled(halves: HalfRequests, count: int, size: int = 0, client: str | None = None) -> list[str]:
    """Connections of one client, or each of its own, up to where one has to go; the last is the one added last."""
    added = [f"{client} {len(halves) + number}" for number in range(count)]
    for connection in added:
        halves.add(connection, client or connection, float(len(halves)))
        halves.resize(connection, size)
    return added


@pytest.mark.parametrize("size", [0, 1])
def test_the_oldest_of_all_goes_first(size):
    for shares in (True, False):
        halves = HalfRequests(shares=shares)
        first, *_, last = filled(halves, MAX_REQUESTS, size)
        assert halves.surplus(last) is None
        (one_more,) = filled(halves, 1, client="one more")
        assert halves.surplus(one_more) == halves.oldest() == first
        halves.remove(first)
        assert halves.surplus(one_more) is None


def test_bytes_count_too():
    halves = HalfRequests(shares=True)
    first, *_, last = filled(halves, 16, MAX_BYTES // 16)
    assert halves.surplus(last) is None
    halves.resize(last, MAX_BYTES // 16 + 1)
    assert halves.surplus(last) == first


def test_a_client_with_more_than_its_share_loses_its_own():
    halves = HalfRequests(shares=True)
    filled(halves, 1, client="patient")
    first, *_, last = filled(halves, MAX_REQUESTS_PER_CLIENT, client="greedy")
    assert halves.surplus(last) is None
    (one_more,) = filled(halves, 1, client="greedy")
    assert halves.surplus(one_more) == first


def test_a_client_with_more_than_its_share_of_bytes_loses_its_own():
    halves = HalfRequests(shares=True)
    filled(halves, 1, client="patient")
    first, last = filled(halves, 2, MAX_BYTES_PER_CLIENT // 2, client="greedy")
    assert halves.surplus(last) is None
    halves.resize(last, MAX_BYTES_PER_CLIENT // 2 + 1)
    assert halves.surplus(last) == first


def test_behind_a_proxy_one_address_stands_for_all_clients():
    halves = HalfRequests(shares=False)
    first, *_, last = filled(halves, MAX_REQUESTS, 1, client="proxy")
    assert halves.surplus(last) is None
    (one_more,) = filled(halves, 1, client="proxy")
    assert halves.surplus(one_more) == first


def test_what_is_removed_leaves_nothing():
    halves = HalfRequests(shares=True)
    for connection in filled(halves, 5, 7, client="a") + filled(halves, 5, 7):
        halves.remove(connection)
    assert (len(halves), halves._clients, halves._size, halves.oldest()) == (0, {}, 0, None)


def test_those_that_began_before_a_moment():
    halves = HalfRequests(shares=True)
    added = filled(halves, 4)
    assert halves.begun_before(1.5) == added[:2]
