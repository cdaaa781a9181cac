"""What pages are made of: paging, flags, forms, addresses."""

from __future__ import annotations

import pytest
from flask import Flask

from common.errors import Conflict, Invalid, NotFound, TooMany
from common.names import RepositoryName
from index_service import paging
from index_service.pages.repositories import RepositoryCard
from index_service.paging import Paging
from index_service.web import flags
from index_service.web.forms import Form
from index_service.web.request_context import same_site_path
from index_service.web.urls import image_url, person_url, repository_url
from tests.units.index_service.site import IMAGES


def test_a_page_of_a_list_is_asked_for_by_address():
    asked = paging.asked({"page": "3", "sort": "stars"}, ("recent", "stars"), 10)
    assert (asked.number, asked.sort, asked.offset) == (3, "stars", 20)
    known = asked.of(25)
    assert (known.pages, known.first, known.last) == (3, 21, 25)
    assert paging.asked({}, ("recent", "stars")).sort == "recent"
    assert paging.asked({"page": "", "sort": ""}).number == 1


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "²", "1000000", "1" * 50, " 1", "١"])
def test_a_number_that_is_none_is_refused(page):
    with pytest.raises(Invalid):
        paging.asked({"page": page})


@pytest.mark.parametrize("sort", ["name", "recent; drop", "RECENT"])
def test_an_order_that_there_is_not_is_refused(sort):
    with pytest.raises(Invalid):
        paging.asked({"sort": sort}, ("recent",))


def test_behind_the_last_page_there_is_none_but_an_empty_list_has_one():
    with pytest.raises(NotFound):
        paging.asked({"page": "2"}, size=10).of(10)
    assert paging.asked({}).of(0).pages == 1
    assert (paging.asked({}).of(0).first, paging.asked({}).of(0).last) == (0, 0)


@pytest.mark.parametrize(
    ("number", "pages", "near"),
    [
        (1, 1, [1]),
        (1, 5, [1, 2, 3, 4, 5]),
        (1, 9, [1, 2, 3, 0, 9]),
        (5, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (50, 100, [1, 0, 48, 49, 50, 51, 52, 0, 100]),
        (100, 100, [1, 0, 98, 99, 100]),
    ],
)
def test_links_lead_to_the_pages_around_and_to_both_ends(number, pages, near):
    assert Paging(number, 10, pages * 10).near() == near


def test_a_name_has_one_flag_and_names_have_many():
    assert flags.flag("alice") == flags.flag("alice")
    drawn = {str(flags.flag(f"name-{number}")) for number in range(200)}
    assert len(drawn) > 120
    assert len({flags.hue(f"name-{number}") for number in range(200)}) == flags.HUES


def test_a_flag_says_nothing_of_the_name_and_nothing_to_a_screen_reader():
    drawn = flags.flag('"><script>', "small")
    assert "script" not in drawn
    assert 'aria-hidden="true"' in drawn
    assert "style=" not in drawn


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (repository_url(RepositoryName("library", "busybox")), "/r/busybox"),
        (repository_url(RepositoryName("acme", "a/b"), "tags"), "/r/acme/a/b/@tags"),
        (repository_url("library/x.json"), "/r/x.json"),
        (image_url(IMAGES[0], "graph"), f"/i/{IMAGES[0]}/graph"),
        (person_url("a.b-c"), "/u/a.b-c"),
        (person_url("acme", "teams"), "/u/acme/@teams"),
    ],
)
def test_addresses_are_written_in_one_place(address, path):
    assert address == path


@pytest.mark.parametrize("path", ["/", "/a", "/r/a/b/@tags?page=2&sort=x", "/search?q=%2F%2Fevil"])
def test_a_path_of_this_site_is_gone_on_to(path):
    assert same_site_path(path) == path


@pytest.mark.parametrize("path", [None, "", "a", "//a", "/\\a", "http://a", "/a\\b", "/a\n", "/a b", "/" + "a" * 2000])
def test_any_other_is_not(path):
    assert same_site_path(path, "/default") == "/default"


def form(**fields):
    app = Flask("form")
    with app.test_request_context("/", method="POST", data=fields):
        return Form.read("name", "about", secrets=("password",))


def test_a_form_reads_what_it_names_and_nothing_else():
    read = form(name=" alice ", about="one\r\ntwo\x00", password=" s p ", is_admin="yes")
    assert read.values() == {"name": "alice", "about": "one\ntwo", "password": " s p "}
    with pytest.raises(KeyError):
        read["is_admin"]


def test_secrets_are_not_shown_again():
    assert dict(form(name="alice", password="secret").state().values) == {"name": "alice", "about": ""}


def refuse(failure):
    raise failure


def test_a_service_is_asked_only_when_the_fields_are_right():
    asked = []
    read = form(name="alice")
    read.validate("name", lambda _: refuse(Invalid("Invalid username")))
    assert read.attempt(asked.append, 1) is None
    assert (asked, read.ok) == ([], False)
    assert read.state().errors == {"name": "Invalid username"}


def test_a_refusal_stands_at_its_field_or_over_the_form():
    class Taken(Conflict):
        field = "name"

    named, whole, busy = form(), form(), form()
    assert named.attempt(refuse, Taken("It is taken")) is None
    whole.attempt(refuse, Conflict("It cannot be"))
    busy.attempt(refuse, TooMany("Slower", 3))
    assert named.state().errors == {"name": "It is taken"}
    assert whole.state().errors == {"": "It cannot be"}
    assert (named.status, busy.status) == (422, 429)


def test_what_is_absent_is_no_matter_of_a_form():
    with pytest.raises(NotFound):
        form().attempt(refuse, NotFound("gone"))


def test_a_card_knows_what_is_official():
    assert RepositoryCard(
        full_name=RepositoryName("library", "a"), description="", is_private=False, star_count=0, pull_count=0
    ).is_official
    assert not RepositoryCard(
        full_name=RepositoryName("acme", "a"), description="", is_private=False, star_count=0, pull_count=0
    ).is_official
