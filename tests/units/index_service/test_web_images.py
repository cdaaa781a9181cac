"""The pages about tags, images and the graph: nothing that hides is seen, and nothing that an image says is code."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest
import sqlalchemy

from common.names import RepositoryName
from tests.units.index_service.live import image
from tests.units.index_service.reader import Reader, counted_queries
from tests.units.index_service.site import IMAGES

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*777777}}\u202e\ud800"


@pytest.fixture
def family(harbour):
    """A base, what two tags share, and both tags; in a public repository, the second in a private one too."""
    base = image(command="#(nop) ADD file:ab in /", size=9000)
    shared = image(base, "apt-get update", size=4000)
    one, two = image(shared, "make one", size=1000), image(shared, "#(nop) CMD [two]", size=0)
    harbour.push("alice/app", (base, shared, one), "one")
    harbour.push("alice/app", (base, shared, two), "two")
    harbour.push("bob/secret", (base, shared, two), "stowaway")
    harbour.site.set_private("bob/secret")
    harbour.work_off()
    return base, shared, one, two


PAGES = ("/r/alice/app/@tags", "/r/alice/app/@activity", "/r/alice/app/@graph", "/graph")


def paths(one):
    return (*PAGES, f"/i/{one.id}", f"/i/{one.id}/graph")


def test_every_page_is_html_and_names_the_same_as_json(harbour, family):
    reader = Reader(harbour.site)
    for path in paths(family[2]):
        page = reader.open(path)
        assert reader.answer.status_code == 200, path
        (link,) = page.all("link", rel="alternate", type="application/json")
        assert reader.get(link["href"]).mimetype == "application/json", path
        assert not [given for _, given in page.attributes if "style" in given or any(key[:2] == "on" for key in given)]
        assert len(page.all("h1")) == 1


def test_tags_of_one_image_stand_in_one_row(harbour, family):
    harbour.push("alice/app", (*family[:2], family[3]), "latest")
    told = Reader(harbour.site).api("/repositories/alice/app/@tags")
    assert [[tag["name"] for tag in row["tags"]] for row in told["items"]] == [["latest", "two"], ["one"]]
    assert told["items"][1]["size"] == len(family[2].layer)
    assert told["items"][1]["tags"][0] | {"set_at": ""} == {
        "name": "one",
        "set_at": "",
        "person": "alice",
        "program": "docker 1.0.1",
        "client": told["items"][1]["tags"][0]["client"],
    }


def test_lists_are_sorted_and_paged_by_their_address(harbour, family):
    reader = Reader(harbour.site)
    bigger = reader.api("/repositories/alice/app/@tags?sort=size")
    assert bigger["items"][0]["tags"][0]["name"] == "one"
    assert bigger["paging"]["sort"] == "size"
    assert reader.get("/r/alice/app/@tags?sort=smell").status_code == 400
    for path in ("/r/alice/app/@tags", "/r/alice/app/@activity", "/r/alice/app/@graph", "/graph"):
        assert reader.get(f"{path}?page=2").status_code == 404


def test_a_private_repository_has_no_pages_for_strangers(harbour, family):
    for who in (None, "alice"):
        reader = Reader(harbour.site, who)
        for part in ("tags", "activity", "graph"):
            for path in ("/r", "/api/v1/repositories"):
                assert reader.get(f"{path}/bob/secret/@{part}").status_code == 404
        for path in paths(family[0]):
            assert b"secret" not in reader.get(path).data
            assert b"stowaway" not in reader.get(path).data
    assert b"secret" in Reader(harbour.site, "bob").get(f"/i/{family[3].id}").data


def test_an_image_nobody_may_see_is_none(harbour, family):
    reader = Reader(harbour.site)
    mine = image(size=100)
    harbour.push("bob/secret", (mine,), "mine")
    harbour.work_off()
    for path in (f"/i/{mine.id}", f"/i/{mine.id}/graph", f"/i/{'0' * 64}", "/i/nonsense", "/api/v1/images/nonsense"):
        assert reader.get(path).status_code == 404
    assert Reader(harbour.site, "bob").get(f"/i/{mine.id}").status_code == 200


def test_twelve_digits_lead_to_the_image(harbour, family):
    reader = Reader(harbour.site)
    whole, beginning = family[2].id, family[2].id[:12]
    for part in ("", "/graph"):
        answer = reader.get(f"/i/{beginning}{part}")
        assert (answer.status_code, answer.location) == (303, f"/i/{whole}{part}")
    assert reader.alternate(f"/i/{beginning}") == f"/api/v1/images/{whole}"
    assert reader.get(f"/i/{beginning.upper()}").location == f"/i/{whole}"
    assert reader.get(f"/i/{whole[:63]}").location == f"/i/{whole}"
    for wrong in (whole[:11], whole + "0", beginning[:11] + "x", "0" * 12):
        assert reader.get(f"/i/{wrong}").status_code == 404, wrong


def test_digits_that_several_images_begin_with_lead_to_the_one_that_may_be_seen(site):
    for name in ("alice", "bob"):
        site.user(name)
    one, two, short = "ab" * 31 + "00", "ab" * 31 + "01", "ab" * 8
    site.push("alice/app", "alice", images=[one])
    site.push("bob/secret", "bob", images=[two])
    site.set_private("bob/secret")
    for who in (None, "alice"):
        assert Reader(site, who).get(f"/i/{one[:12]}").location == f"/i/{one}"
        assert Reader(site, who).get(f"/i/{two[:63]}").location == f"/i/{one}"
        assert Reader(site, who).get(f"/i/{two}").status_code == 404
    assert Reader(site, "bob").get(f"/i/{one[:12]}").status_code == 404
    site.push("alice/old", "alice", images=IMAGES[:1])
    with site.engine.begin() as connection:
        connection.execute(
            sqlalchemy.text("UPDATE held_images SET image_id = :short WHERE image_id = :id"),
            {"short": short, "id": IMAGES[0]},
        )
    # An id of 16 digits is whole.
    assert Reader(site).get(f"/i/{short}").status_code == 200
    assert Reader(site).get(f"/i/{short[:12]}").status_code == 404


def test_where_a_login_is_needed_digits_lead_nobody_else_anywhere(make_site):
    site = make_site(anonymous_pull=False)
    site.user("alice")
    site.push("alice/app", "alice", images=IMAGES[:1])
    for beginning in (IMAGES[0][:12], "f" * 12):
        assert Reader(site).get(f"/i/{beginning}").location.startswith("/sign-in")
    assert Reader(site, "alice").get(f"/i/{IMAGES[0][:12]}").location == f"/i/{IMAGES[0]}"


def test_search_leads_to_the_image_whose_id_begins_so(harbour, family):
    reader = Reader(harbour.site)
    whole = family[2].id
    for words in (whole[:12], f" {whole[:8].upper()} ", whole):
        page = reader.open(f"/search?q={words}")
        assert page.all("a", href=f"/i/{whole}"), words
        assert "The image whose ID begins with this" in page.text
    mine = image(size=100)
    harbour.push("bob/secret", (mine,), "mine")
    harbour.work_off()
    for words in (mine.id[:12], whole[:3], "alice", f"alice {whole[:12]}", ""):
        assert reader.api(f"/search?q={words}")["image_id"] is None, words
    assert Reader(harbour.site, "bob").api(f"/search?q={mine.id[:12]}")["image_id"] == mine.id
    told = harbour.site.request("GET", f"/api/v1/search?q={whole[:12]}").get_json()
    assert told["image_id"] == whole


def test_an_image_is_told_as_a_dockerfile(harbour, family):
    reader = Reader(harbour.site)
    page = reader.open(f"/i/{family[2].id}")
    for text in ("ADD file:ab in /", "RUN apt-get update", "RUN make one", "alice/app :one", "linux/amd64"):
        assert text.replace(" :", ":") in page.text.replace(" :", ":"), text
    told = reader.api(f"/images/{family[2].id}")
    assert [step["text"] for step in told["steps"]] == ["ADD file:ab in /", "RUN apt-get update", "RUN make one"]
    assert told["total_size"] == sum(len(each.layer) for each in family[:3])
    assert json.loads(told["raw"])["id"] == family[2].id


def test_lanes_are_drawn_and_told_as_a_list(harbour, family):
    reader = Reader(harbour.site)
    told = reader.api("/repositories/alice/app/@graph")
    lanes = {layer["image_id"]: layer["lanes"] for layer in told["layers"]}
    assert sorted(map(len, lanes.values())) == [1, 1, 2, 2]
    kinds = {layer["image_id"]: layer["kind"] for layer in told["layers"]}
    assert [kinds[each.id] for each in family] == ["shared", "shared", "own", "empty"]
    page = reader.open("/r/alice/app/@graph")
    drawn = [given["href"] for given in page.all("a") if "layer" in given.get("class", "")]
    assert sorted(drawn) == sorted(f"/i/{each.id}" for each in family)
    listed = page.text.partition("Show as a list")[2]
    for text in ("ADD file:ab in /", "RUN apt-get update", "RUN make one", "CMD [two]", "one", "two"):
        assert text in listed
    # Whoever also reads the other repository sees that the layers came with it.
    assert Reader(harbour.site, "bob").api("/repositories/alice/app/@graph")["layers"][0]["kind"] == "elsewhere"


def test_lanes_are_there_for_graphviz(harbour, family):
    reader = Reader(harbour.site)
    page = reader.open("/r/alice/app/@graph")
    address = page.links["Download as DOT, for Graphviz"]
    answer = reader.get(address)
    assert (answer.status_code, answer.mimetype) == (200, "text/vnd.graphviz")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    names, arrows = read_dot(answer.get_data(as_text=True))
    assert names == {each.id for each in family} | {"tag one", "tag two"}
    base, shared, one, two = (each.id for each in family)
    assert arrows == {(base, shared), (shared, one), (shared, two), (one, "tag one"), (two, "tag two")}
    assert reader.get(f"{address}?page=2").status_code == 404
    assert reader.get("/r/bob/secret/@graph.dot").status_code == 404
    assert "stowaway" in Reader(harbour.site, "bob").get("/r/bob/secret/@graph.dot").get_data(as_text=True)


def test_long_names_stay_apart_for_graphviz(harbour, family):
    for last in "ab":
        harbour.push("alice/app", (family[0],), "t" * 127 + last)
    names, _ = read_dot(Reader(harbour.site).get("/r/alice/app/@graph.dot").get_data(as_text=True))
    assert {f"tag {'t' * 127}{last}" for last in "ab"} <= names


def read_dot(text):
    """The names and arrows of a drawing; every line has to be one of its kinds."""
    lines, name = text.splitlines(), r'"((?:[^"\\]|\\.)*)"'
    assert (re.fullmatch(rf"digraph {name} {{", lines[0]) is not None, lines[-1]) == (True, "}")
    kinds = rf"  {name} \[label={name}, (?:bytes=\d+|shape=plaintext)\];|  {name} -> {name}(?: \[[a-z=, ]+\])?;"
    read = [re.fullmatch(kinds, line) for line in lines[2:-1]]
    assert all(read)
    return {found[1] for found in read if found[1]}, {(found[3], found[4]) for found in read if found[3]}


def test_the_tree_of_all_images_links_to_each(harbour, family):
    reader = Reader(harbour.site)
    told = reader.api("/graph")
    (tree,) = told["trees"]
    assert (tree["image_id"], tree["layers"], tree["places"]) == (family[0].id, 1, [])
    (branching,) = tree["branches"]
    assert sorted(branch["places"][0] for branch in branching["branches"]) == ["alice/app:one", "alice/app:two"]
    page = reader.open("/graph")
    assert {f"/i/{family[0].id}", f"/i/{family[2].id}"} <= {given.get("href") for given in page.all("a")}


def test_an_image_that_nothing_is_made_from_says_so(harbour, family):
    for reader, found, is_alone in ((Reader(harbour.site), family[2], True), (Reader(harbour.site), family[1], False)):
        text = reader.open(f"/i/{found.id}/graph").text
        assert ("No derived images yet" in text) is is_alone
        assert ("rebuild these" in text) is not is_alone


def test_of_a_long_name_in_the_tree_the_tag_is_kept(harbour, family):
    harbour.push("alice/a-name-that-is-long", family[:3], "1.0")
    harbour.push("alice/a-name-that-is-long", (*family[:2], family[3]), "1.1")
    harbour.work_off()
    text = Reader(harbour.site).open("/graph?q=long").text
    assert "…that-is-long:1.0" in text
    assert "…that-is-long:1.1" in text


def test_the_tree_says_what_is_shared(harbour, family):
    told = Reader(harbour.site).api("/graph")
    assert (told["stored"], told["shared"]) == (sum(len(each.layer) for each in family), 0)
    # Whoever also reads the second repository sees that all but one layer are in both.
    reader = Reader(harbour.site, "bob")
    told = reader.api("/graph")
    assert told["shared"] == told["stored"] - len(family[2].layer)
    assert "shared by several repositories" in reader.open("/graph").text


def test_the_tree_is_narrowed_by_words(harbour, family):
    reader = Reader(harbour.site)
    page = reader.open("/graph?q=alice/app")
    assert {f"/i/{family[0].id}", f"/i/{family[2].id}"} <= {given.get("href") for given in page.all("a")}
    assert page.forms["/graph"] == {"q": "alice/app"}
    (link,) = page.all("link", rel="alternate", type="application/json")
    assert reader.get(link["href"]).get_json()["query"] == "alice/app"
    for words in ("secret", "stowaway", "no-such"):
        page = reader.open(f"/graph?q={words}")
        assert "No repository matching these words has an image" in page.text
        assert family[0].id not in reader.answer.text
    assert reader.get(f"/graph?q={'x' * 256}").status_code == 400
    assert Reader(harbour.site, "bob").api("/graph?q=secret")["images"] == 3
    told = harbour.site.request("GET", "/api/v1/graph?q=app").get_json()
    assert (told["query"], told["images"]) == ("app", 4)


def test_pages_without_anything_say_so(harbour):
    harbour.site.push("alice/app", "alice", told=False)
    reader = Reader(harbour.site)
    assert "No tags yet" in reader.open("/r/alice/app/@tags").text
    assert "No layers yet" in reader.open("/r/alice/app/@graph").text
    assert "No activity yet" in reader.open("/r/alice/app/@activity").text
    assert "No images yet" in reader.open("/graph").text


def test_an_image_nobody_described_yet_has_a_page(harbour):
    harbour.site.push("alice/app", "alice")
    id_ = Reader(harbour.site).api("/repositories/alice/app/@tags")["items"][0]["image_id"]
    assert "Not inspected yet" in Reader(harbour.site).open(f"/i/{id_}").text
    assert "Not inspected yet" in Reader(harbour.site).open(f"/i/{id_}/graph").text


def test_nothing_an_image_or_a_client_says_becomes_code(harbour):
    texts = {"Env": [f"{HOSTILE}={HOSTILE}"], "Cmd": [HOSTILE], "Entrypoint": [HOSTILE], "Labels": {HOSTILE: HOSTILE}}
    config = {**texts, "ExposedPorts": {HOSTILE: {}}, "Volumes": {HOSTILE: {}}, "User": HOSTILE, "OnBuild": [HOSTILE]}
    base = image(None, ["/bin/sh", "-c", HOSTILE], config={**config, "WorkingDir": HOSTILE, "StopSignal": HOSTILE})
    said = {"author": HOSTILE, "comment": HOSTILE, "os": HOSTILE, "architecture": HOSTILE, "docker_version": HOSTILE}
    top = image(base, [HOSTILE], created=HOSTILE, **said)
    harbour.push("alice/app", (base, top), "one")
    harbour.work_off()
    client = "docker/1.6<script>alert(3)</script> <img src=x onerror=alert(4)>"
    path, told = "/v1/repositories/alice/app/", [{"id": top.id, "Tag": "two"}]
    begun = harbour.site.request("PUT", path, user="alice", body=told, User_Agent=client)
    assert begun.status_code == 200
    harbour.site.request("PUT", f"{path}images", user="alice", raw="[]", User_Agent=client)
    # Old registries took any tag.
    odd = quote("<b>\"'{{7*777777}}")
    harbour.driver.put(f"repositories/alice/app/tag_{odd}", top.id.encode())
    assert harbour.site.services.reindex.run(RepositoryName.parse("alice/app")).tags == 2
    reader = Reader(harbour.site, "alice")
    for path in (*PAGES, f"/i/{base.id}", f"/i/{top.id}", f"/i/{top.id}/graph"):
        page = reader.open(path)
        assert reader.answer.status_code == 200, path
        assert all("src" in given for given in page.all("script")), path
        assert not page.all("img"), path
        assert '<b>"' not in reader.answer.text, path
        assert not [given for _, given in page.attributes if any(key[:2] == "on" for key in given)], path
        assert "5444439" not in page.text, path
        assert reader.get(reader.alternate(path)).is_json, path
    assert read_dot(reader.get("/r/alice/app/@graph.dot").get_data(as_text=True))[1]


def test_who_may_write_deletes_tags_by_several(harbour, family):
    reader = Reader(harbour.site, "alice")
    assert reader.open("/r/alice/app/@tags").all("input", type="checkbox", name="tag")
    page = reader.open("/r/alice/app/@tags/delete?tag=one&tag=two&tag=no-such")
    assert "Delete 2 tags?" in page.text
    assert family[2].id[:12] in page.text
    answer = reader.client.post(
        "/r/alice/app/@tags/delete",
        data={**page.forms["/r/alice/app/@tags/delete"], "tag": ["one", "two"]},
        environ_overrides=reader.environ,
    )
    assert answer.status_code == 303
    assert "2 tags deleted" in reader.open(answer.location).text
    assert reader.api("/repositories/alice/app/@tags")["items"] == []


def test_nothing_chosen_is_said(harbour, family):
    reader = Reader(harbour.site, "alice")
    assert "Select the tags to delete first" in reader.open("/r/alice/app/@tags/delete?tag=no-such").text


def test_strangers_are_offered_and_permitted_no_deletion(harbour, family):
    assert not Reader(harbour.site).open("/r/alice/app/@tags").all("input", name="tag")
    reader = Reader(harbour.site, "bob")
    assert not reader.open("/r/alice/app/@tags").all("input", name="tag")
    assert reader.get("/r/alice/app/@tags/delete?tag=one").status_code == 403
    csrf = reader.open("/r/alice/app/@tags").forms["/language"]["csrf"]
    assert reader.post("/r/alice/app/@tags/delete", tag="one", csrf=csrf).status_code == 403
    assert Reader(harbour.site).get("/r/alice/app/@tags/delete?tag=one").location.startswith("/sign-in")


def test_deleting_wants_a_password_given_lately(harbour, family):
    reader = Reader(harbour.site, "alice")
    harbour.site.clock.move(minutes=16)
    assert reader.get("/r/alice/app/@tags/delete?tag=one").location.startswith("/prove")


def test_a_registry_that_is_away_deletes_nothing_and_the_page_says_so(harbour, family):
    reader = Reader(harbour.site, "alice")
    harbour.registry.stop()
    page = reader.send("/r/alice/app/@tags/delete", "/r/alice/app/@tags/delete?tag=one")
    assert reader.answer.status_code == 503
    assert "The registry is unavailable" in page.text
    assert len(reader.api("/repositories/alice/app/@tags")["items"]) == 2


def test_activity_tells_pushes_deletions_and_pulls(harbour, family):
    harbour.daemon().pull("alice/app", "one")
    harbour.site.services.pull_counts.flush()
    reader = Reader(harbour.site, "alice")
    reader.send("/r/alice/app/@tags/delete", "/r/alice/app/@tags/delete?tag=one")
    told = reader.api("/repositories/alice/app/@activity")
    moves = [(move["tag"], move["image_id"] is None, move["program"]) for move in told["items"]]
    assert sorted(moves) == [("one", False, "docker 1.0.1"), ("one", True, ""), ("two", False, "docker 1.0.1")]
    assert reader.api("/repositories/alice/app/@pulls")["items"][-1]["count"] == 1
    assert reader.api("/repositories/alice/app")["head"]["pull_count"] == 1
    text = reader.open("/r/alice/app/@activity?tag=one").text
    assert "alice deleted one" in text
    assert "alice pushed two" not in text


def test_the_number_of_queries_does_not_grow_with_the_rows(harbour, family):
    reader = Reader(harbour.site, "alice")

    def count(path):
        reader.get(path)
        with counted_queries(harbour.site.engine) as queries:
            assert reader.get(path).status_code == 200
        return len(queries)

    before = [count(path) for path in paths(family[0])]
    for number in range(6):
        harbour.push("alice/app", (*family[:2], image(family[1])), f"v{number}")
        harbour.push("bob/app", family[:3], f"v{number}")
    harbour.work_off()
    assert [count(path) for path in paths(family[0])] == before
    assert max(before) <= 20


def test_all_of_it_is_there_in_chinese(harbour, family):
    reader = Reader(harbour.site)
    for path in paths(family[2]):
        text = reader.open(path, **{"Accept-Language": "zh-CN"}).text
        assert "镜像" in text or "标签" in text, path
