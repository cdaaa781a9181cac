"""Names, lists and tags: what a push leaves, who may do what, and what hides."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from common.names import ImageId, RepositoryName, Tag
from index_service.database import Database
from index_service.repositories import catalogue
from index_service.repositories.catalogue import Pusher
from tests.units.index_service.reader import counted_queries
from tests.units.index_service.site import IMAGES, authorization, basic

NOT_FOUND = {"error": "images not found"}

ODD_TAGS = ("größe", "-x", ".x", "a:b", "a" * 129)
"""Such as only old clients made."""


def people(site):
    """Alice and bob, and the administrator root."""
    site.user("alice")
    site.user("bob")
    site.user("root", admin=True)


@pytest.fixture
def contents():
    return people


def images(site, repository, **asking):
    return site.request("GET", f"/v1/repositories/{repository}/images", **asking)


def test_the_first_put_takes_the_name_and_answers_with_token_and_endpoint(site):
    answer = site.request("PUT", "/v1/repositories/alice/app/", user="alice", ask=True, body=[{"id": IMAGES[0]}])
    assert (answer.status_code, answer.data) == (200, b'""')
    token = answer.headers["X-Docker-Token"]
    assert token.startswith("signature=")
    assert token.endswith(',repository="alice/app",access=write')
    assert not set(token.partition(",")[0].removeprefix("signature=")) & set("\"', \t")
    assert answer.headers["WWW-Authenticate"] == f"Token {token}"
    assert answer.headers["X-Docker-Endpoints"] == "127.0.0.1:5001"
    assert answer.headers.getlist("X-Docker-Token") == [token]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("said", "meant"), [("app", "library/app"), ("library/app", "library/app"), ("root/a/b", "root/a/b")]
)
def test_every_spelling_of_a_name_is_one_repository(site, said, meant, slash):
    answer = site.request("PUT", f"/v1/repositories/{said}{slash}", user="root", body=[{"id": IMAGES[0]}])
    assert f'repository="{meant}"' in answer.headers["X-Docker-Token"]
    assert site.request("PUT", f"/v1/repositories/{said}/images", user="root", body=[]).status_code == 204
    for spelling in {said, meant}:
        assert images(site, spelling).json == [{"id": IMAGES[0]}]
        assert images(site, spelling + "/images").status_code == 404


def test_a_slash_at_the_end_means_the_repository_itself(site):
    assert site.request("PUT", "/v1/repositories/alice/images/", user="alice", body=[]).status_code == 200
    assert images(site, "alice/images").status_code == 200
    # Without it these are the images of library/alice, which only an administrator writes.
    assert site.request("PUT", "/v1/repositories/alice/images", user="alice", body=[]).status_code == 403
    assert site.request("DELETE", "/v1/repositories/alice/images", user="alice").status_code == 403
    assert site.request("DELETE", "/v1/repositories/alice/auth", user="alice").status_code == 405
    assert images(site, "alice/images").status_code == 200
    assert site.request("DELETE", "/v1/repositories/alice/images/", user="alice").status_code == 202


def test_a_list_only_grows_and_a_new_checksum_wins(site):
    put = "/v1/repositories/alice/app/"
    one, two, three = IMAGES[:3]
    site.request("PUT", put, user="alice", body=[{"id": one, "checksum": "sha256:aa"}, {"id": two}])
    site.request("PUT", put, user="alice", body=[{"id": one}, {"id": three}])
    site.request("PUT", "/v1/repositories/alice/app/images", user="alice", body=[])
    assert images(site, "alice/app").json == [{"id": one, "checksum": "sha256:aa"}, {"id": two}, {"id": three}]
    closing = [{"id": two}, {"id": two, "checksum": "tarsum+sha256:bb"}, {"id": two, "checksum": "x:cc"}]
    site.request("PUT", "/v1/repositories/alice/app/images", user="alice", body=closing)
    site.request("PUT", put, user="alice", body=[{"id": one, "checksum": "sha256:dd"}, {"id": three, "checksum": ""}])
    assert images(site, "alice/app").json == [
        {"id": one, "checksum": "sha256:dd"},
        {"id": two, "checksum": "tarsum+sha256:bb"},
        {"id": three},
    ]


@pytest.mark.parametrize("raw", ["[]", "{}"])
def test_an_empty_list_is_a_list(site, raw):
    assert site.request("PUT", "/v1/repositories/alice/app/", user="alice", raw=raw).status_code == 200
    done = site.request("PUT", "/v1/repositories/alice/app/images", user="alice", raw=raw)
    assert (done.status_code, done.data) == (204, b"")
    assert "X-Docker-Token" not in done.headers
    assert images(site, "alice/app").json == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"id": 1}', "list"),
        ('"abc"', "list"),
        ("null", "list"),
        ("[1]", "objects"),
        ("[[]]", "objects"),
        ("[{}]", "image ID: None"),
        ('[{"id": 7}]', "image ID: 7"),
        ('[{"id": "../../etc"}]', "../../etc"),
        (json.dumps([{"id": IMAGES[0].upper() + "A"}]), "A"),
        (json.dumps([{"id": "x" * 5000}]), "x"),
        (json.dumps([{"id": IMAGES[0], "checksum": 5}]), "checksum: 5"),
        (json.dumps([{"id": IMAGES[0], "checksum": "a\nb"}]), "checksum"),
        (json.dumps([{"id": IMAGES[0], "checksum": "a" * 256}]), "checksum"),
        (json.dumps([{"id": IMAGES[0], "Tag": "a/b"}]), "tag"),
        (json.dumps([{"id": IMAGES[0], "Tag": "a\x00b"}]), "tag"),
        (json.dumps([{"id": IMAGES[0], "Tag": "\ud800"}]), "tag"),
        (json.dumps([{"id": IMAGES[0], "Tag": "t" * 300}]), "tag"),
        (json.dumps([{"id": IMAGES[0], "Tag": ["v1"]}]), "tag"),
        ("", "JSON"),
        ("[", "JSON"),
        ("[" * 100_000, "JSON"),
        (b"\xff", "JSON"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/repositories/alice/app/", "/v1/repositories/alice/app/images"])
def test_a_bad_list_is_refused_by_name_and_leaves_nothing(site, path, body, named):
    answer = site.request("PUT", path, user="alice", raw=body)
    assert answer.status_code == 400
    assert named in answer.json["error"]
    assert len(answer.data) < 300
    assert site.rows("SELECT id FROM repositories") == []


@pytest.mark.parametrize("tag", ODD_TAGS)
def test_a_push_of_a_new_tag_that_newer_clients_refuse_takes_no_name(site, tag):
    answer = site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[{"id": IMAGES[0], "Tag": tag}])
    assert (answer.status_code, "tag" in answer.json["error"]) == (400, True)
    assert site.rows("SELECT id FROM repositories") == []


@pytest.mark.parametrize(
    "name",
    [
        "alice/App",
        "alice/a..b",
        "alice/-a",
        "alice/..",
        "alice/a%00b",
        "alice/a%2e%2e",
        "alice/" + "a" * 300,
    ],
)
def test_a_name_that_newer_clients_could_not_say_is_not_taken(site, name):
    answer = site.request("PUT", f"/v1/repositories/{name}/", user="alice", body=[])
    assert answer.status_code == 400
    assert "repository name" in answer.json["error"]
    assert site.rows("SELECT id FROM repositories") == []


def test_sixteen_digits_are_an_image_too(site):
    site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[{"id": "27cf784147099545"}])
    site.request("PUT", "/v1/repositories/alice/app/images", user="alice", body=[])
    assert images(site, "alice/app").json == [{"id": "27cf784147099545"}]


# --- who may do what ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "repository", "status"),
    [
        (None, "alice/app", 401),
        ("bob", "alice/app", 403),
        ("root", "alice/app", 403),
        ("alice", "alice/app", 200),
        ("alice", "app", 403),
        ("alice", "nobody/app", 403),
        (None, "app", 401),
        ("root", "app", 200),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_who_may_push_where_is_told_by_the_namespace_alone(site, user, repository, status, exists):
    if exists:
        site.push("alice/app", "alice")
        site.set_private("alice/app")
        site.push("library/app", "root")
    assert site.request("PUT", f"/v1/repositories/{repository}/", user=user, body=[]).status_code == status
    final = site.request("PUT", f"/v1/repositories/{repository}/images", user=user, body=[]).status_code
    assert final == (204 if status == 200 else status)
    lists = site.request("DELETE", f"/v1/repositories/{repository}/images", user=user).status_code
    assert lists == (204 if status == 200 else status)
    gone = site.request("DELETE", f"/v1/repositories/{repository}/", user=user).status_code
    assert gone == (202 if status == 200 else status)


def test_a_final_put_without_a_first_finds_nothing(site):
    assert site.request("PUT", "/v1/repositories/alice/app/images", user="alice", body=[]).status_code == 404
    assert site.request("DELETE", "/v1/repositories/alice/app/images", user="alice").status_code == 404
    assert site.request("DELETE", "/v1/repositories/alice/app/", user="alice").status_code == 404


@pytest.mark.parametrize("user", [None, "bob", "root"])
@pytest.mark.parametrize("ask", [False, True])
def test_a_private_name_hides_from_whoever_may_not_read_it(site, user, ask):
    site.push("alice/secret", "alice")
    site.set_private("alice/secret")
    absent, hidden = (images(site, f"alice/{name}", user=user, ask=ask) for name in ("absent", "secret"))
    assert (hidden.status_code, hidden.json) == (404, NOT_FOUND)
    ignored = ("X-Request-Id",)
    assert absent.data == hidden.data
    assert [pair for pair in absent.headers if pair[0] not in ignored] == [
        pair for pair in hidden.headers if pair[0] not in ignored
    ]
    assert images(site, "alice/secret", user="alice", ask=ask).status_code == 200


def test_a_wrong_credential_is_refused_where_none_would_do(site):
    site.push("alice/app", "alice")
    assert images(site, "alice/app").status_code == 200
    assert images(site, "alice/app", auth="Basic Og==").status_code == 200
    for auth in ("Basic YWxpY2U6d3Jvbmc=", "Bearer abc", 'Token signature=abc,repository="alice/app",access=read'):
        assert images(site, "alice/app", auth=auth, ask=True).status_code == 401
        assert images(site, "alice/absent", auth=auth, ask=True).status_code == 401
        assert site.request("GET", "/v1/search", auth=auth).status_code == 401


def test_an_inactive_account_may_do_nothing(site):
    site.push("alice/app", "alice")
    site.set_active("alice", False)
    assert images(site, "alice/app", user="alice").status_code == 403
    assert site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[]).status_code == 403
    assert site.request("GET", "/v1/search", user="alice").status_code == 403


# --- endpoints ------------------------------------------------------------------------------------------------------


def test_a_repository_stays_on_the_registry_it_was_first_pushed_to(make_site):
    site = make_site(registry_endpoints=("r1:5001", "r2:5001", "r3"))

    def endpoint(name):
        answer = site.request("PUT", f"/v1/repositories/alice/{name}/", user="alice", body=[])
        pulled = images(site, f"alice/{name}", ask=True)
        assert pulled.headers["X-Docker-Endpoints"] == answer.headers["X-Docker-Endpoints"]
        return answer.headers["X-Docker-Endpoints"]

    first = {f"app{number}": endpoint(f"app{number}") for number in range(20)}
    assert set(first.values()) == {"r1:5001", "r2:5001", "r3"}
    site.restart(registry_endpoints=("r9:5001", "r3", "r2:5001", "r1:5001"))
    assert {name: endpoint(name) for name in first} == first
    assert site.services.operations.move_endpoint("r1:5001", "r9:5001") == list(first.values()).count("r1:5001")
    assert {name: endpoint(name).replace("r9", "r1") for name in first} == first


def test_a_sole_registry_may_change_its_address(make_site):
    site = make_site(registry_endpoints=("old:5001",))
    site.push("alice/app", "alice")
    site.restart(registry_endpoints=("new:5001",))
    assert images(site, "alice/app", ask=True).headers["X-Docker-Endpoints"] == "new:5001"


# --- tags -----------------------------------------------------------------------------------------------------------


def tags(site):
    return site.rows("SELECT name, image_id, announced_id FROM tags ORDER BY name")


def test_an_announced_tag_exists_only_when_the_push_concludes(site):
    one, two, three = IMAGES[:3]
    # As Docker 0.4 to 0.7 do: the tag stands at every ancestor, the root first.
    entries = [{"id": one, "Tag": "v1"}, {"id": two, "Tag": "v1"}, {"id": three, "Tag": "v2"}]
    site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=entries)
    assert tags(site) == [("v1", None, two), ("v2", None, three)]
    site.request("PUT", "/v1/repositories/alice/app/images", user="alice", body=[])
    assert tags(site) == [("v1", two, None), ("v2", three, None)]


def test_what_a_push_announced_and_never_did_is_forgotten_by_the_next(site):
    one, two = IMAGES[:2]
    for tag, image in [("v1", one), ("v2", two)]:
        site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[{"id": image, "Tag": tag}])
    assert tags(site) == [("v2", None, two)]


def test_announcing_a_tag_leaves_it_where_it_is(site):
    one, two = IMAGES[:2]
    site.push("alice/app", "alice", tag="v1", images=[one])
    site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[{"id": two, "Tag": "v1"}])
    assert tags(site) == [("v1", one, two)]
    site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[])
    assert tags(site) == [("v1", one, None)]


def test_a_registry_tells_of_tags_with_the_writers_token(site):
    one, two = IMAGES[:2]
    token = site.push("alice/app", "alice", told=False)
    for path, image in [("alice/app", one), ("alice/app", two)]:
        told = site.request("PUT", f"/v1/repositories/{path}/tags/v1", auth=token, raw=json.dumps(image))
        assert (told.status_code, told.json) == (200, True)
    assert tags(site) == [("latest", None, two), ("v1", two, None)]
    for _ in range(2):
        assert site.request("DELETE", "/v1/repositories/alice/app/tags/v1", auth=token).status_code == 200
    assert tags(site) == [("latest", None, two)]


def test_nobody_else_tells_of_tags(site):
    writer = site.push("alice/app", "alice")
    site.push("alice/other", "alice")
    before = tags(site)
    reader = site.pull_token("alice/app", "alice")
    for path, asking in [
        ("alice/app", {}),
        ("alice/app", {"user": "alice"}),
        ("alice/app", {"auth": reader}),
        ("alice/app", {"auth": "Token "}),
        ("alice/other", {"auth": writer}),
    ]:
        for method in ("PUT", "DELETE"):
            answer = site.request(method, f"/v1/repositories/{path}/tags/latest", raw=json.dumps(IMAGES[5]), **asking)
            assert answer.status_code == 401
    assert tags(site) == before


@pytest.mark.parametrize("raw", ['"abc"', "7", "", "{}", "null", '"' + "A" * 64 + '"'])
def test_a_tag_points_at_an_image_id(site, raw):
    token = site.push("alice/app", "alice")
    answer = site.request("PUT", "/v1/repositories/alice/app/tags/v1", auth=token, raw=raw)
    assert answer.status_code in (400, 404)
    assert list(answer.json) == ["error"]


@pytest.mark.parametrize("tag", ["a%00b", "..", "%2e%2e", "t" * 300, "a%20b", *map(quote, ODD_TAGS)])
def test_a_tag_that_cannot_be_is_refused(site, tag):
    token = site.push("alice/app", "alice")
    answer = site.request("PUT", f"/v1/repositories/alice/app/tags/{tag}", auth=token, raw=json.dumps(IMAGES[0]))
    assert answer.status_code in (400, 404)
    assert [row[0] for row in tags(site)] == ["latest"]


def test_tags_are_read_with_a_password_as_programs_read_them_at_the_hub(site):
    site.push("alice/app", "alice", tag="v1")
    site.push("alice/app", "alice", tag="v2")
    path = "/v1/repositories/alice/app/tags"
    for asking in ({}, {"user": "bob"}, {"user": "alice"}, {"auth": site.pull_token("alice/app")}):
        for slash in ("", "/"):
            assert site.request("GET", path + slash, **asking).json == {"v1": IMAGES[1], "v2": IMAGES[1]}
            assert site.request("GET", f"{path}/v2{slash}", **asking).json == IMAGES[1]
    assert site.request("GET", f"{path}/v3").json == {"error": "Tag not found"}
    assert site.request("GET", f"{path}/v1", auth=basic("alice", "wrong")).status_code == 401
    site.set_private("alice/app")
    for end in ("", "/v1"):
        statuses = [site.request("GET", path + end, **asking).status_code for asking in ({}, {"user": "bob"})]
        assert statuses == [
            site.request("GET", path[:-4] + "images", **asking).status_code for asking in ({}, {"user": "bob"})
        ]
        assert 200 not in statuses
        assert site.request("GET", path + end, user="alice").status_code == 200


@pytest.mark.parametrize("tag", ODD_TAGS)
def test_a_tag_that_is_there_moves_whatever_its_name(site, tag):
    """As one that was taken over from an old store."""
    token = site.push("alice/app", "alice")
    with Database(site.engine).writing() as session:
        repository = catalogue.lock(session, RepositoryName.parse("alice/app"))
        catalogue.set_tag(session, repository, tag, IMAGES[1], Pusher(None), site.clock())
    path = f"/v1/repositories/alice/app/tags/{quote(tag)}"
    assert site.request("PUT", path, auth=token, raw=json.dumps(IMAGES[0])).status_code == 200
    assert site.rows("SELECT image_id FROM tags WHERE name <> 'latest'") == [(IMAGES[0],)]
    again = site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[{"id": IMAGES[0], "Tag": tag}])
    assert again.status_code == 200


# --- many at once ---------------------------------------------------------------------------------------------------


def test_first_puts_of_one_repository_at_once_all_succeed(site):
    def push(number):
        entries = [{"id": id_, "checksum": f"sha256:{number}"} for id_ in IMAGES]
        entries = entries[number % 7 :] + entries[: number % 7]
        body = [*entries[:-1], {**entries[-1], "Tag": f"v{number % 3}"}]
        return site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=body)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(push, range(32)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({authorization(answer) for answer in answers}) == 32
    site.request("PUT", "/v1/repositories/alice/app/images", user="alice", body=[])
    assert {entry["id"] for entry in images(site, "alice/app").json} == set(IMAGES)
    assert len(images(site, "alice/app").json) == len(IMAGES)
    assert len(site.rows("SELECT id FROM repositories")) == 1


def test_pulls_and_pushes_of_many_at_once_all_succeed(site):
    site.push("alice/app", "alice")

    def work(number):
        if number % 3:
            token = site.pull_token("alice/app", "bob" if number % 2 else None)
            return site.redeem("alice/app", token)
        site.push(f"alice/app{number}", "alice")
        return 200

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(60))) == {200}


def test_a_push_of_many_tags_concludes_in_as_many_statements_as_one_of_two(site, engine):
    by = Pusher(site.actor("alice").id, "docker/1.0")
    site.push("alice/app", "alice", tag="moved")
    site.push("alice/app", "alice", tag="stays")
    rows = {"moved": IMAGES[3], "stays": IMAGES[1], "new": IMAGES[3]}
    few = confirmed(site, engine, {"stays": IMAGES[1], "moved": IMAGES[2]}, by)
    many = confirmed(site, engine, {**rows, **{f"t{n}": IMAGES[4] for n in range(300)}}, by)
    assert many == few
    tags = dict(site.rows("SELECT name, image_id FROM tags WHERE announced_id IS NULL"))
    assert len(tags) == 303
    assert rows.items() <= tags.items()
    told = "SELECT tag, previous_id, image_id FROM tag_moves WHERE client = 'docker/1.0' AND user_id = :by ORDER BY id"
    moves = [tuple(row) for row in site.rows(told, by=by.user_id)]
    assert len(moves) == 303
    assert ("moved", IMAGES[2], IMAGES[3]) in moves
    assert ("new", None, IMAGES[3]) in moves
    assert "stays" not in {tag for tag, _, _ in moves}


def confirmed(site, engine, announced, by):
    """How many statements it took to conclude a push of these tags."""
    with Database(engine).writing() as session:
        repository = catalogue.lock(session, RepositoryName("alice", "app"))
        tags = {Tag(name): ImageId(image) for name, image in announced.items()}
        catalogue.announce_tags(session, repository, tags, site.clock())
        with counted_queries(engine) as statements:
            catalogue.conclude_push(session, repository, by, site.clock())
            session.flush()
    return len(statements)


def test_a_push_announces_all_images_of_a_large_repository(make_site):
    """Docker before 0.10 announces those of all tags."""
    site = make_site(max_images=20_000)
    entries = [{"id": f"{number:064x}"} for number in range(20_001)]
    announced = [
        site.request("PUT", "/v1/repositories/alice/app/", user="alice", ask=True, body=entries[:count])
        for count in (20_000, 20_001)
    ]
    assert [answer.status_code for answer in announced] == [200, 409]
    assert "no more than 20000 images" in announced[1].get_json()["error"]
