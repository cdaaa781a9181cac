"""Search: what is seen by whom, in which shape, page by page."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service import schema
from index_service.api import search as api_search
from index_service.database import Database, open_engine
from index_service.images import lineage
from index_service.repositories import catalogue
from index_service.repositories.models import Repository
from index_service.repositories.roles import AccessControl
from index_service.search import documents, finder
from tests.units.index_service.reader import counted_queries
from tests.units.index_service.site import IMAGES


def six_repositories(site):
    site.user("alice")
    site.user("bob")
    site.user("root", admin=True)
    for repository in ("alice/app", "alice/my_app", "alice/myxapp", "bob/busybox", "bob/secret"):
        site.push(repository, repository.partition("/")[0])
    site.push("busybox", "root")
    site.set_private("bob/secret")


@pytest.fixture
def contents():
    return six_repositories


def tell(site, repository, **columns):
    """Change a repository as its administrators do."""
    with Database(site.engine).writing() as session:
        found = catalogue.lock(session, RepositoryName.parse(repository))
        for column, value in columns.items():
            setattr(found, column, value)
        documents.refresh(session, found.id)


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
        "is_more": False,
        "num_pages": 1,
        "page": 1,
        "page_size": 25,
        "results": [official, {**official, "name": "bob/busybox", "is_official": False}],
    }
    assert not {"X-Docker-Token", "X-Docker-Endpoints", "WWW-Authenticate"} & set(answer.headers.keys())


def test_an_empty_query_lists_what_one_may_see(site):
    public = ["busybox", "bob/busybox", "alice/myxapp", "alice/my_app", "alice/app"]
    for query in ("", "?q=", "?q=%20"):
        assert names(site, query) == names(site, query, auth="Basic Og==") == names(site, query, user="alice") == public
        assert names(site, query, user="root") == public
        assert names(site, query, user="bob") == [public[0], "bob/secret", *public[1:]]
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
    tell(site, "bob/busybox", description="Tiny Unix tools")
    assert names(site, "?q=unix") == names(site, "?q=tiny%20too") == ["bob/busybox"]


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
        ("n=", 1, 10_000),
        ("n=&q=app", 1, 25),
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


def test_the_best_comes_first(site):
    for name in ("ngin", "nginx", "old-nginx", "nginx-proxy", "proxy", "web", "site", "loved"):
        site.push(f"alice/{name}", "alice")
    site.push("nginx-official", "root")
    site.push("balancer", "root")
    tell(site, "library/balancer", description="in front of nginx")
    tell(site, "alice/web", description="a site behind nginx")
    tell(site, "alice/site", readme="# Site\n\nPut nginx before it.")
    tell(site, "alice/loved", readme="nginx", star_count=3)
    best = ["alice/nginx", "nginx-official", "alice/nginx-proxy", "alice/old-nginx"]
    assert names(site, "?q=nginx") == [*best, "balancer", "alice/web", "alice/loved", "alice/site"]
    assert names(site, "?q=nginx%20proxy") == ["alice/nginx-proxy"]
    assert names(site, "?q=alice%2Fnginx")[:2] == ["alice/nginx", "alice/nginx-proxy"]


@pytest.mark.parametrize(
    "query", ["镜像", "镜", "库", "镜像仓库", "NGINX的镜像", "ｎｇｉｎｘ", "たこ", "ｶﾞ", "ñandú", "ÑANDÚ"]
)
def test_every_script_is_found(site, query):
    tell(site, "alice/app", description="nginx的镜像仓库 たこ焼き ガ Ñandú")
    tell(site, "bob/busybox", description="仓像 nandu")
    assert names(site, f"?q={quote(query)}") == ["alice/app"]


def test_an_image_is_found_by_the_beginning_of_its_id(site):
    first, second = "abcd" + "1" * 60, "abcf" + "2" * 60
    site.push("alice/one", "alice", images=[first])
    site.push("bob/two", "bob", images=[second])
    site.push("bob/hidden", "bob", images=[first])
    site.set_private("bob/hidden")
    assert names(site, f"?q={first}") == names(site, "?q=ABCD1") == names(site, "?q=abcd") == ["alice/one"]
    assert names(site, "?q=abcd", user="bob") == ["bob/hidden", "alice/one"] or names(site, "?q=abcd", user="bob") == [
        "alice/one",
        "bob/hidden",
    ]
    assert names(site, "?q=abc") == []
    assert names(site, "?q=abcd%20one") == names(site, "?q=one%20abcd") == ["alice/one"]
    assert names(site, "?q=abcd%20abcf") == names(site, "?q=abcd%20two") == []
    tell(site, "bob/two", description="see abcd1111 and beef")
    assert set(names(site, "?q=abcd1111")) == {"alice/one", "bob/two"}
    assert names(site, "?q=beef") == ["bob/two"]


def test_what_was_renamed_or_deleted_is_not_found_by_its_old_name(site):
    tell(site, "alice/my_app", description="words")
    tell(site, "alice/my_app", name="renamed")
    assert names(site, "?q=renamed") == names(site, "?q=words") == ["alice/renamed"]
    assert names(site, "?q=my_app") == []
    site.drop("alice/renamed")
    assert names(site, "?q=renamed") == names(site, "?q=words") == []
    # A number may be given again; what was known of the one before is gone.
    site.push("alice/other", "alice")
    assert names(site, "?q=words") == []


HOSTILE = [
    *(
        "'",
        "''",
        '"',
        "\\",
        "\\'",
        "%",
        "_",
        "*",
        "**",
        "(",
        ")",
        "()",
        "&",
        "|",
        "!",
        ":*",
        "a:*",
        "-",
        "--",
        "^",
        "=",
        "=bus",
    ),
    *(
        "AND",
        "OR NOT",
        "NEAR(a b)",
        "a NEAR b",
        "{x}:y",
        "x : y",
        "'a' & !'b'",
        "words MATCH 'x'",
        "; DROP TABLE users",
    ),
    *("\x00", "\ufffe", "\u202e", "a\u0300", "\ud800", "🐳", "\u200d", "ﷺ" * 200, "镜" * 255, "a " * 127, "a" * 255),
    *(
        "abcd" * 63,
        "^busybox",
        "+x",
        "$1",
        "%s",
        "%(x)s",
        ":name",
        "?1",
        "<->",
        "a<->b",
        "/",
        "//",
        "../..",
        "\u0130",
        "ß",
    ),
]


@pytest.mark.parametrize("query", HOSTILE)
def test_no_text_is_a_command(site, query):
    tell(site, "alice/app", description=query.replace("\x00", "").replace("\ud800", "")[:255])
    asked = f"?q={quote(query.encode('utf-8', 'surrogatepass'))}"
    for who in ({}, {"user": "alice"}):
        assert search(site, asked, **who)["num_results"] <= 6


def fill(site, count, *, owner="bob", hidden=False, **columns):
    """So many repositories at once, as pushes would leave them."""
    now = site.clock()
    timestamps = dict.fromkeys(("created_at", "updated_at", "pushed_at"), now)
    base = {"namespace": owner, "endpoint": "e:1", "is_tagged": True, "is_private": hidden, **timestamps, **columns}
    with Database(site.engine).writing() as session:
        made = [Repository(**base, name=f"thing-{number:04}{'h' * hidden}") for number in range(count)]
        session.add_all(made)
        session.flush()
        documents.refresh(session, *(repository.id for repository in made))


def test_a_word_that_is_everywhere_is_counted_so_far_and_no_further(site):
    fill(site, 900, description="a common word")
    site.push("alice/common", "alice")
    tell(site, "bob/thing-0700", star_count=9)
    found = search(site, "?q=common&n=100")
    assert (found["num_results"], found["num_pages"]) == (finder.MOST, 2)
    assert [hit["name"] for hit in found["results"][:2]] == ["alice/common", "bob/thing-0700"]
    assert len({name for page in range(1, 3) for name in names(site, f"?q=common&n=100&page={page}")}) == finder.MOST
    assert names(site, "?q=common&n=100&page=3") == []
    assert search(site)["num_results"] == 906
    assert names(site, "?n=100&page=10")[-6:] == names(site, "?n=6&page=151") != []


def test_a_list_is_whole_or_says_so(site, monkeypatch):
    """Tools that move a registry's repositories elsewhere read one answer to `q=`, and take it for all."""
    fill(site, 900)
    everything = search(site, "?q=")
    assert everything["num_results"] == len({hit["name"] for hit in everything["results"]}) == 905
    assert (everything["num_pages"], everything["is_more"]) == (1, False)
    assert len(names(site, "?q=&page=1")) == 25
    of_bob = search(site, "?q=bob/")
    assert of_bob["query"] == "bob/"
    assert of_bob["num_results"] == len(of_bob["results"]) == 901
    assert {name.partition("/")[0] for name in names(site, "?q=BOB/")} == {"bob"}
    assert len(names(site, "?q=bob%2F", user="bob")) == 902
    assert names(site, "?q=bob/&n=100&page=10") == names(site, "?q=bob/")[900:]
    assert {*names(site, "?q=ice/")} == {*names(site, "?q=alice/")} != set()
    assert names(site, "?q=library/") == ["busybox"]
    counted = search(site, "?q=thing")
    assert (counted["num_results"], counted["is_more"]) == (finder.MOST, True)
    monkeypatch.setattr(api_search, "MAX_LIST", 300)
    cut = search(site, "?q=")
    assert (len(cut["results"]), cut["num_results"], cut["num_pages"]) == (300, 905, 4)


def test_how_much_is_hidden_is_not_told(site):
    fill(site, 900, hidden=True, description="plans for zeppelins")
    tell(site, "alice/app", description="zeppelins")
    found = search(site, "?q=zeppelins")
    assert (found["num_results"], names(site, "?q=zeppelins")) == (1, ["alice/app"])
    assert search(site, "?q=zeppelins", user="bob")["num_results"] == finder.MOST


@pytest.mark.parametrize(
    "agent", ["docker/1.6.2 go/go1.4.1 kernel/3.16 os/linux arch/amd64", "Docker-Client/29.0.0 (linux)"]
)
def test_docker_search_of_every_age(site, agent):
    """What daemons sent when asked for `docker search HOST/busy`: up to 1.11 without `n`, from 1.12 with it."""
    assert site.request("GET", "/v1/_ping", **{"User-Agent": agent}).status_code == 200
    for query in ("q=busy", "n=25&q=busy"):
        asked = {"User-Agent": agent, "Accept-Encoding": "gzip", "X-Docker-Token": "true"}
        answer = site.request("GET", f"/v1/search?{query}", **asked)
        assert answer.status_code == 200
        assert answer.content_type == "application/json"
        kinds = {"name": str, "description": str, "star_count": int, "is_official": bool, "is_automated": bool}
        for result in answer.json["results"]:
            assert {key: type(result[key]) for key in kinds} == kinds
        assert [result["name"] for result in answer.json["results"]] == ["busybox", "bob/busybox"]


def test_docker_search_as_recorded(site):
    """What dockerd 20.10.24 sent for `docker search --limit 3 HOST/alice/app` of who is logged in."""
    agent = (
        "docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.18.44 os/linux arch/amd64 "
        "UpstreamClient(Docker-Client/28.2.2 \\(linux\\))"
    )
    sent = {"User-Agent": agent, "Accept-Encoding": "gzip", "Connection": "close"}
    ping = site.request("GET", "/v1/_ping", **sent)
    assert (ping.status_code, ping.headers["X-Docker-Registry-Standalone"]) == (200, "false")
    asked = {**sent, "X-Docker-Token": "true"}
    found = site.request("GET", "/v1/search?q=alice%2Fapp&n=3", user="alice", **asked)
    assert (found.json["page_size"], [result["name"] for result in found.json["results"]]) == (3, ["alice/app"])


@pytest.mark.parametrize("agent", ["containers/5.23.1 (github.com/containers/image)", "libpod/4.3.1"])
def test_podman_search(site, agent):
    """What Podman 4.3.1 sent: it asks for v2 first, and is content with being told to log in there; then it searches
    as docker does, and never with a login."""
    sent = {
        "User-Agent": agent,
        "Docker-Distribution-Api-Version": "registry/2.0",
        "Accept-Encoding": "gzip",
        "Connection": "close",
    }
    assert site.request("GET", "/v2/", **sent).status_code == 401
    answer = site.request("GET", "/v1/search?n=25&q=busy", **sent)
    assert [result["name"] for result in answer.json["results"]] == ["busybox", "bob/busybox"]


def test_stars_are_told(site):
    tell(site, "library/busybox", star_count=7)
    assert [result["star_count"] for result in search(site, "?q=busybox")["results"]] == [7, 0]


def test_no_search_asks_more_where_there_is_more(site):
    asked = {}
    search(site, user="alice")
    for step in range(2):
        for query in ("thing", "", "common%20thing"):
            with counted_queries(site.engine) as queries:
                search(site, f"?q={query}", user="alice")
            asked.setdefault(query, []).append(len(queries))
        fill(site, 40, owner="bob", description="common", hidden=bool(step))
    assert all(before == after for before, after in asked.values())


def test_sqlite_looks_at_candidates_and_not_at_all_repositories(tmp_path):
    """Its planner is told no numbers of rows, and would rather go through what is public."""
    engine = open_engine(f"sqlite:///{tmp_path}/index.db")
    schema.upgrade(engine)
    asked = []
    event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
    visible = Repository.is_private.is_(False)
    with Session(engine) as session:
        for text in ("busy", "busy box", "alice/app"):
            finder.search(session, finder.Query(text=text, page=1, page_size=25), AccessControl(login_only=False), None)
        lineage.beginning_with(session, "beac", visible)
        plans = [
            session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", told).all() for said, told in list(asked)
        ]
    engine.dispose()
    steps = [row[-1] for plan in plans for row in plan]
    assert "SEARCH repositories USING INTEGER PRIMARY KEY (rowid=?)" in steps
    assert not [step for step in steps if "ix_repositories_shown" in step]
