"""What is not kept for ever: the old end of the audit log."""

from __future__ import annotations

import pytest

from index_service import background
from index_service.services import retention
from index_service.services.retention import PRUNE_EVERY

PEOPLE = ("alice", "bob", "carol", "dave")


@pytest.fixture
def aged(make_site):
    """An index whose log is kept for two days, with a record of each day until now."""

    def make(**settings):
        site = make_site(**settings)
        for name in PEOPLE:
            site.user(name)
            site.clock.move(days=1)
        site.restart()
        return site

    return make


def kept(site):
    return [row.subject for row in site.rows("SELECT subject FROM audit ORDER BY id")]


def test_the_log_is_kept_for_ever_where_nobody_says_how_long(aged):
    site = aged()
    site.clock.move(days=10_000)
    site.services.retention.prune_audit()
    assert kept(site) == list(PEOPLE)


def test_what_is_older_than_that_is_forgotten(aged):
    site = aged(audit_days=2)
    site.services.retention.prune_audit()
    # What is just as old as it is to be kept stays.
    assert kept(site) == ["carol", "dave"]
    site.clock.move(days=1)
    site.services.retention.prune_audit()
    assert kept(site) == ["dave"]


def test_much_of_it_goes_bit_by_bit_and_then_it_is_looked_for_now_and_then(aged, monkeypatch):
    monkeypatch.setattr(retention, "PRUNE_AT_ONCE", 1)
    site = aged(audit_days=1)
    for left in (PEOPLE[1:], PEOPLE[2:], PEOPLE[3:], PEOPLE[3:]):
        site.services.retention.prune_audit()
        assert kept(site) == list(left)
    site.clock.move(seconds=1)
    site.services.retention.prune_audit()
    assert kept(site) == ["dave"]
    site.clock.move(seconds=PRUNE_EVERY.total_seconds())
    site.services.retention.prune_audit()
    assert kept(site) == []


def test_a_serving_process_does_so_by_itself(aged):
    site = aged(audit_days=2)
    thread = site.app.extensions[background.EXTENSION]
    thread.start()
    thread.stop()
    assert kept(site) == ["carol", "dave"]
