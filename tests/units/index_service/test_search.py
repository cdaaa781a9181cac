"""Search: what is seen by whom, in which shape, page by page."""

from __future__ import annotations

import pytest

from tests.units.index_service.site import IMAGES


@pytest.fixture
def site(site):
    site.user("alice")
    site.user("bob")
    site.user("root", admin=True)
    for repository in ("alice/app", "alice/my_app", "alice/myxapp", "bob/busybox", "bob/secret"):
        site.push(repository, repository.partition("/")[0])
    site.push("busybox", "root")
    site.set_private("bob/secret")
    return site


def search(site, query="", **asking):
    answer = site.request("GET", f"/v1/search{query}", **asking)
    assert answer.status_code == 200, answer.data
    return answer.json


def names(site, query="", **asking):
    return [result["name"] for result in search(site, query, **asking)["results"]]


@pytest.mark.parametrize("path", ["/v1/search?q=busy", "/v1/search/?q=busy"])
def test_the_whole_shape(site, path):
    answer = site.request("GET", path, ask=True)
    official = {
        "name": "busybox",
        "description": "",
        "star_count": 0,
        "is_official": True,
        "is_automated": False,
        "is_trusted": False,
    }
    assert answer.json == {
        "query": "busy",
        "num_results": 2,
        "num_pages": 1,
        "page": 1,
        "page_size": 25,
        "results": [official, {**official, "name": "bob/busybox", "is_official": False}],
    }
    assert not {"X-Docker-Token", "X-Docker-Endpoints", "WWW-Authenticate"} & set(answer.headers.keys())


def test_an_empty_query_lists_what_one_may_see(site):
    public = ["busybox", "alice/app", "alice/my_app", "alice/myxapp", "bob/busybox"]
    for query in ("", "?q=", "?q=%20"):
        assert names(site, query) == names(site, query, auth="Basic Og==") == names(site, query, user="alice") == public
        assert names(site, query, user="root") == public
        assert names(site, query, user="bob") == [*public, "bob/secret"]
    assert names(site, "?q=secret", user="bob") == ["bob/secret"]
    assert names(site, "?q=secret", auth="Token ") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("my_app", ["alice/my_app"]),
        ("MY_APP", ["alice/my_app"]),
        ("%25", []),
        ("_", ["alice/my_app"]),
        ("%5C", []),
        ("alice%20app", ["alice/app", "alice/my_app", "alice/myxapp"]),
        ("alice/app", ["alice/app"]),
        ("library/busy", ["busybox"]),
        ("bob%00secret", []),
        ("%ff", []),
        ("'%3B--", []),
        ("busybox", ["busybox", "bob/busybox"]),
    ],
)
def test_words_are_words_and_wildcards_are_not(site, query, found):
    assert names(site, f"?q={query}") == found


def test_the_description_is_searched_too(site):
    with site.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE repositories SET description = 'Tiny Unix tools' WHERE namespace = 'bob'")
    assert names(site, "?q=unix") == ["bob/busybox"]


def test_pages(site):
    first, second, third = (search(site, f"?n=2&page={page}") for page in (1, 2, 3))
    assert (first["num_results"], first["num_pages"], first["page_size"]) == (5, 3, 2)
    assert [page["page"] for page in (first, second, third)] == [1, 2, 3]
    listed = [result["name"] for page in (first, second, third) for result in page["results"]]
    assert listed == names(site)
    assert search(site, "?n=2&page=4")["results"] == []
    assert search(site, "?q=nothing")["num_pages"] == 0


@pytest.mark.parametrize(
    ("query", "page", "size"),
    [
        ("n=0", 1, 1),
        ("n=-3", 1, 1),
        ("n=101", 1, 100),
        ("n=", 1, 25),
        ("page=0", 1, 25),
        ("page=999999999", 1_000_000, 25),
    ],
)
def test_numbers_out_of_range_are_brought_into_it(site, query, page, size):
    found = search(site, f"?{query}")
    assert (found["page"], found["page_size"]) == (page, size)


@pytest.mark.parametrize(
    "query", ["n=ten", "n=1.5", "page=x", "n=%D9%A3", "page=" + "9" * 5000, "q=" + "x" * 300, "n=1_0"]
)
def test_what_is_no_number_is_refused(site, query):
    answer = site.request("GET", f"/v1/search?{query}")
    assert answer.status_code == 400
    assert list(answer.json) == ["error"]


def test_a_repository_is_invisible_until_a_tag_exists(site):
    before = names(site)
    token = site.push("alice/zero", "alice", told=False)
    assert names(site) == before
    assert names(site, user="alice") == before
    site.request("PUT", "/v1/repositories/alice/zero/tags/v1", auth=token, raw=f'"{IMAGES[0]}"')
    assert "alice/zero" in names(site)
    site.request("DELETE", "/v1/repositories/alice/zero/tags/v1", auth=token)
    assert names(site) == before
    site.request("PUT", "/v1/repositories/alice/zero/images", user="alice", raw="[]")
    assert "alice/zero" in names(site)
