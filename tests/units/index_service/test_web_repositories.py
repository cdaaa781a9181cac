"""Exploring, searching, the first page of a repository and its comments, as people see them."""

from __future__ import annotations

import re
import shlex
from urllib.parse import quote

import pytest
from sqlalchemy import event, update

from common.names import RepositoryName, Tag
from index_service.repositories.models import TagRecord
from index_service.repositories.repository_settings import Texts
from index_service.search import finder
from tests.units.index_service.reader import Page, Reader, counted_queries
from tests.units.index_service.site import IMAGES
from tests.units.index_service.test_markdown import ATTACKS, Elements
from tests.units.index_service.test_search import fill

APP = RepositoryName("alice", "app")


def three_repositories(site):
    for name in ("alice", "bob", "carol"):
        site.user(name)
    site.user("root", admin=True)
    site.push("alice/app", "alice", tag="1.0")
    site.push("alice/app", "alice", tag="2.0", images=IMAGES[2:4])
    site.push("alice/secret", "alice")
    site.push("busybox", "root")
    site.set_private("alice/secret")


@pytest.fixture
def contents():
    return three_repositories


@pytest.fixture
def site(make_site):
    return make_site(comment_rate="1000/minute")


@pytest.fixture
def social(site):
    return site.services.social


@pytest.fixture
def reader(site):
    return Reader(site)


def test_exploring(site, reader, social):
    social.set_starred(site.actor("bob"), APP, is_starred=True)
    page = reader.open("/")
    for words in ("Recently pushed", "Most starred", "Most pulled", "docker login -u alice", "docker search"):
        assert words in page.text
    assert "/r/alice/app" in page.links.values()
    assert page.links["busybox"] == "/r/busybox"
    assert "secret" not in page.text
    told = reader.api("/explore")
    assert [found["full_name"] for found in told["starred"]] == ["alice/app", "library/busybox"]
    assert told["totals"]["repositories"] == 2
    assert "secret" in Reader(site, "alice").open("/").text


def test_searching(site, reader):
    site.services.permissions.describe(site.actor("alice"), APP, Texts(description="镜像 of everything", readme=""))
    for query in ("app", "镜像", IMAGES[2], "alice/app"):
        page = reader.open(f"/search?q={quote(query)}")
        assert "/r/alice/app" in page.links.values()
        assert reader.api(f"/search?q={quote(query)}")["repositories"][0]["full_name"] == "alice/app"
    assert "No results" in reader.open("/search?q=secret").text
    assert "/r/alice/secret" in Reader(site, "alice").open("/search?q=secret").links.values()
    assert reader.api("/search")["paging"]["total"] == 2
    assert reader.api("/search?official=yes")["repositories"][0]["full_name"] == "library/busybox"
    assert reader.api("/search?namespace=alice")["paging"]["total"] == 1
    assert reader.api("/search?sort=name")["repositories"][0]["full_name"] == "alice/app"


@pytest.mark.parametrize("query", ["sort=evil", "page=0", "page=x", "namespace=.%2F.", "q=" + "x" * 256])
def test_what_cannot_be_searched_for(reader, query):
    assert reader.get(f"/search?{query}").status_code == 400


def test_what_i_starred(site, social):
    bob = Reader(site, "bob")
    social.set_starred(site.actor("bob"), APP, is_starred=True)
    found = bob.api("/search?starred=yes")
    assert [card["full_name"] for card in found["repositories"]] == ["alice/app"]
    assert Reader(site).get("/search?starred=yes").headers["Location"].startswith("/sign-in")


def test_a_word_that_is_everywhere(site, reader):
    fill(site, 900, description="common")
    assert f"More than {finder.MOST} repositories" in reader.open("/search?q=common").text
    assert reader.get("/search?q=common&page=8").status_code == 200
    assert reader.get("/search?q=common&page=9").status_code == 404


def test_the_search_of_a_browser(reader):
    answer = reader.get("/opensearch.xml")
    assert answer.content_type == "application/opensearchdescription+xml"
    assert "/search?q={searchTerms}" in answer.text


def test_the_first_page_of_a_repository(site, reader):
    site.services.permissions.describe(
        site.actor("alice"), APP, Texts(description="An app", readme="# About\n\nIt **works**.")
    )
    page = reader.open("/r/alice/app")
    for words in ("An app", "About", "It works .", "docker pull 127.0.0.1:5000/alice/app:2.0"):
        assert words in page.text, page.text
    assert "docker pull 127.0.0.1:5000/alice/app:1.0" in reader.open("/r/alice/app?tag=1.0").text
    told = reader.api("/repositories/alice/app")
    assert (told["readme"], told["tags"], told["head"]["may_write"]) == (
        "# About\n\nIt **works**.",
        ["2.0", "1.0"],
        False,
    )
    assert len(told["pulls"]) == 90
    assert "docker pull 127.0.0.1:5000/busybox" in reader.open("/r/busybox").text
    assert reader.open("/r/library/busybox").text == reader.open("/r/busybox").text


def test_a_page_of_a_repository_is_one_look_at_the_database(site, reader, social):
    """Its head is that of the repository it shows, whatever takes the name meanwhile."""
    social.write(site.actor("alice"), APP, "ships")
    looks = []

    def note(*_):
        looks.append(1)

    event.listen(site.engine, "checkout", note)
    for page in ("", "/@tags", "/@activity", "/@comments", "/@comments/1", "/@graph"):
        looks.clear()
        assert reader.get(f"/r/alice/app{page}").status_code == 200
        assert len(looks) == 1, page
    event.remove(site.engine, "checkout", note)


def test_a_command_to_copy_is_one_command(site, reader):
    """Whoever wrote the name of a tag, or the address that led here, has nothing run in the reader's shell."""
    evil = "1;curl$IFS-x|sh`x`"
    site.push("alice/app", "alice", tag="odd")
    with site.engine.begin() as connection:
        # As an old store had it.
        connection.execute(update(TagRecord).where(TagRecord.name == "odd").values(name=evil))
    for path, program, argument in (
        (f"/r/alice/app?tag={quote(evil)}", "docker pull", f"127.0.0.1:5000/alice/app:{evil}"),
        (f"/search?q={quote('gulls; x $(y) <b>')}", "docker search", "127.0.0.1:5000/gulls; x $(y) <b>"),
        ("/search?q=gulls", "docker search", "127.0.0.1:5000/gulls"),
    ):
        assert f"{program} {shlex.quote(argument)}" in reader.open(path).text, path


@pytest.mark.parametrize("part", ["", "/@comments", "/@comments/1", "/@tags"])
def test_a_private_repository_is_not_there(site, reader, part):
    for asking in (reader, Reader(site, "bob"), Reader(site, "root")):
        assert asking.get(f"/r/alice/secret{part}").status_code == 404
        absent = asking.get(f"/r/alice/absent{part}")
        assert absent.status_code == 404
    if part != "/@comments/1":
        assert Reader(site, "alice").get(f"/r/alice/secret{part}").status_code == 200


def test_giving_a_star(site, reader):
    bob = Reader(site, "bob")
    page = bob.send("/r/alice/app/@star", "/r/alice/app")
    assert "Unstar" in page.text
    assert bob.api("/repositories/alice/app")["head"]["star_count"] == 1
    bob.send("/r/alice/app/@star", "/r/alice/app/@comments")
    assert bob.answer.request.path == "/r/alice/app/@comments"
    assert bob.api("/repositories/alice/app")["head"]["star_count"] == 0
    assert "/r/alice/app/@star" not in reader.open("/r/alice/app").forms
    assert reader.open("/r/alice/app").all("a", href="/sign-in?next=/r/alice/app")


def test_a_comment_from_its_writing_to_its_history(site, reader):
    bob = Reader(site, "bob")
    page = bob.send("/r/alice/app/@comments", body="It *works*")
    assert "It works" in page.text
    assert "tag" not in page.forms["/r/alice/app/@comments"]
    told = reader.api("/repositories/alice/app/@comments")
    (comment,) = told["items"]
    assert (comment["body"], comment["author"], told["paging"]["total"]) == ("It *works*", "bob", 1)
    here = f"/r/alice/app/@comments/{comment['id']}"
    page = bob.send(here, body="It *worked*")
    for words in ("It worked", "Earlier versions", "It works"):
        assert words in page.text
    assert [version["body"] for version in reader.api("/repositories/alice/app/@comments/1")["versions"]] == [
        "It *works*"
    ]
    page = reader.open(here)
    assert here not in page.forms
    assert f"{here}/flag" not in page.forms


def test_a_comment_of_ones_own_is_deleted_after_one_question(site, reader):
    alice, bob = Reader(site, "alice"), Reader(site, "bob")
    bob.send("/r/alice/app/@comments", body="never mind")
    here = "/r/alice/app/@comments/1"
    page = bob.open(bob.open(here).links["Delete"])
    assert bob.answer.request.path == f"{here}/delete"
    for words in ("Delete this comment?", "never mind", "This cannot be undone"):
        assert words in page.text
    assert page.links["Cancel"] == here
    assert bob.alternate(f"{here}/delete") is None
    assert "Delete" not in alice.open(here).links
    assert alice.get(f"{here}/delete").status_code == 403
    assert reader.get(f"{here}/delete").headers["Location"].startswith("/sign-in")
    csrf = alice.open(here).forms["/language"]["csrf"]
    assert "Only the author of a comment can delete it" in Page(alice.post(f"{here}/delete", csrf=csrf)).text
    assert "Comment deleted." in bob.send(f"{here}/delete").text
    assert bob.answer.request.path == "/r/alice/app/@comments"
    assert bob.get(f"{here}/delete").status_code == bob.get(here).status_code == 404


def test_what_is_wrong_with_a_comment_is_said_beside_it(site):
    bob = Reader(site, "bob")
    page = bob.send("/r/alice/app/@comments", body=" ")
    assert bob.answer.status_code == 422
    assert "A comment cannot be empty" in page.text
    alice = Reader(site, "alice")
    page = alice.send("/r/alice/app/@comments", body="words", image_id="nonsense")
    assert alice.answer.status_code == 422
    assert "words" in alice.answer.text
    assert "Invalid image ID" in page.text
    alice.send("/r/alice/app/@comments", body="words", image_id="f" * 64)
    assert (alice.answer.status_code, "The repository has no such image" in alice.answer.text) == (422, True)


def test_an_annotation_is_pinned_and_shown_where_it_belongs(site, reader):
    alice, bob = Reader(site, "alice"), Reader(site, "bob")
    bob.send("/r/alice/app/@comments", body="*CVE-2014-0160*\n\n`<b>`")
    here = "/r/alice/app/@comments/1"
    page = alice.send(f"{here}/pin", here, tag="1.0", image_id="")
    assert "Pinned to 1.0" in page.text
    assert "CVE-2014-0160" in reader.open("/r/alice/app").text
    # A list shows its words, not its marks.
    assert "1.0: CVE-2014-0160 <b>" in reader.open("/search?q=app").text
    alice.send(f"{here}/pin", here, tag="", image_id="")
    assert "CVE-2014-0160" not in reader.open("/r/alice/app").text
    assert bob.post(f"{here}/pin", **{**bob.open(here).forms["/r/alice/app/@star"], "tag": "1.0"}).status_code == 422
    # Who may write cannot only pin what others said, but say and pin at once.
    alice.send("/r/alice/app/@comments", body="use 2.0", tag="1.0", image_id="")
    assert "use 2.0" in reader.open("/r/alice/app").text


def test_hiding_flagging_moderating(site, reader):
    alice, bob, carol, root = (Reader(site, name) for name in ("alice", "bob", "carol", "root"))
    bob.send("/r/alice/app/@comments", body="rude words")
    here = "/r/alice/app/@comments/1"
    alice.send(f"{here}/hide", here)
    assert "rude words" not in reader.open("/r/alice/app/@comments").text
    assert reader.get(here).status_code == reader.get(f"/api/v1/repositories{here[2:]}").status_code == 404
    assert "rude words" in bob.open("/r/alice/app/@comments").text
    alice.send(f"{here}/hide", here)
    carol.send(f"{here}/flag", here, reason="manners")
    assert "You have flagged this comment" in carol.open(here).text
    assert carol.get("/admin/comments").status_code == 403
    assert reader.get("/admin/comments").headers["Location"].startswith("/sign-in")
    page = root.open("/admin/comments")
    for words in ("rude words", "manners", "flagged by 1 reader"):
        assert words in page.text
    assert root.api("/admin/comments")["items"][0]["reasons"] == ["manners"]
    root.send("/admin/comments/1", "/admin/comments", hidden="yes")
    assert "rude words" not in reader.open("/r/alice/app/@comments").text
    assert "No reported comments" in root.open("/admin/comments").text
    assert f"{here}/hide" not in alice.open(here).forms
    assert "only an administrator can show it again" in alice.open(here).text
    assert alice.api("/repositories/alice/app/@comments/1")["comment"]["is_moderated"] is True
    assert "Comment unhidden." in root.send(f"{here}/hide", here).text
    assert f"{here}/hide" not in root.open(here).forms
    assert "rude words" in reader.open("/r/alice/app/@comments").text


@pytest.mark.parametrize("part", range(4))
def test_nothing_that_people_write_can_do_anything(site, reader, social, part):
    """Every text people bring, on every page that shows it: no element and no attribute comes of it."""
    alice = site.actor("alice")
    attacks = [attack.replace("\x01", "") for attack in ATTACKS[part::4]]
    for attack in attacks:
        site.services.permissions.describe(
            alice, APP, Texts(description=" ".join(attack.split()), readme="\n\n".join(attacks))
        )
        number = social.write(alice, APP, attack, Tag("2.0"))
        for path in ("/", f"/search?q={quote(attack)}"):
            check_harmless(reader.get(path).text)
    social.edit(alice, APP, number, f"{attacks[0]} edited")
    for path in ("/search?q=app", "/r/alice/app", "/r/alice/app/@comments", f"/r/alice/app/@comments/{number}"):
        check_harmless(reader.get(path).text)


def check_harmless(html):
    for tag, attributes in Elements(html).tags:
        assert tag not in {"iframe", "object", "embed", "math", "base", "img", "style", "noscript"}
        assert tag != "script" or attributes.keys() == {"src", "defer"}
        assert not any(name.startswith("on") or name in ("style", "srcdoc", "formaction") for name in attributes)
        assert not re.match(r"\s*(javascript|data|vbscript):", attributes.get("href") or "", re.IGNORECASE)


def test_no_page_asks_more_where_there_is_more(site, social):
    alice = Reader(site, "alice")
    paths = ("/", "/search?q=app", "/search", "/r/alice/app", "/r/alice/app/@comments", "/r/alice/app/@comments/1")
    social.write(site.actor("bob"), APP, "first", None)
    # Whether anything is pinned at all is asked first.
    social.write(site.actor("alice"), APP, "pinned", Tag("2.0"))
    before = {path: asked(site, alice, path) for path in paths}
    fill(site, 30, description="app")
    for number in range(15):
        name = f"alice/more{number}"
        site.push(name, "alice")
        social.write(site.actor("alice"), RepositoryName.parse(name), "app", Tag("latest"))
        social.write(site.actor("bob"), APP, f"comment {number}")
        site.push("alice/app", "alice", tag=f"3.{number}")
        social.write(site.actor("alice"), APP, f"pinned {number}", Tag(f"3.{number}"))
    for edit in range(5):
        social.edit(site.actor("bob"), APP, 1, f"edit {edit}")
    assert {path: asked(site, alice, path) for path in paths} == before
    assert max(before.values()) <= 16


def asked(site, reader, path):
    """How many questions a page puts to the database, once what is counted for all has been."""
    reader.get(path)
    with counted_queries(site.engine) as queries:
        reader.get(path)
    return len(queries)


def test_nobody_sees_anything_without_a_login_where_that_is_wanted(make_site, site):
    closed = Reader(make_site(anonymous_pull=False))
    for path in ("/", "/search", "/r/alice/app", "/r/alice/app/@comments"):
        assert closed.get(path).headers["Location"].startswith("/sign-in"), path


@pytest.mark.parametrize("number", ["9" * 19, "9" * 40])
def test_no_comment_has_a_number_that_no_database_counts(reader, number):
    assert reader.get(f"/r/alice/app/@comments/{number}").status_code == 404
