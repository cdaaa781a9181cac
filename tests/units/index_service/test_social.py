"""Stars, comments and annotations: who may do what, who sees what, and what is found by them."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from threading import Barrier, Thread

import pytest

from common.errors import Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from common.names import ImageId, RepositoryName, Tag
from index_service.accounts.actor import Limits
from index_service.database import Database
from index_service.repositories import catalogue
from index_service.repositories.catalogue import Pusher
from index_service.repositories.policy import Role
from index_service.repositories.repository_settings import Texts
from index_service.services.permissions import Grantee
from index_service.social.comments import MAX_BODY, MAX_VERSIONS, CommentNotFound
from tests.units.index_service.reader import counted_queries
from tests.units.index_service.site import IMAGES

APP = RepositoryName("alice", "app")
SECRET = RepositoryName("alice", "secret")
OTHER = RepositoryName("bob", "other")


def three_repositories(site):
    for name in ("alice", "bob", "carol", "dave"):
        site.user(name)
    site.user("root", admin=True)
    site.push("alice/app", "alice", tag="1.0")
    site.push("alice/secret", "alice")
    site.push("bob/other", "bob")
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
def people(site):
    return {name: site.actor(name) for name in ("alice", "bob", "carol", "dave", "root")}


def stars(site, name=APP):
    return site.rows("SELECT star_count FROM repositories WHERE namespace = :ns AND name = :name",
                     ns=name.namespace, name=name.name)[0][0]  # fmt: skip


def bodies(social, reader, name=APP):
    thread = social.thread(reader, name, 50, 0)
    assert thread.total == len(thread.views)
    return [remark.body for remark in thread.views]


def test_a_star_counts_once_and_is_taken_back(site, social, people):
    for _ in range(2):
        social.set_starred(people["bob"], APP, is_starred=True)
    social.set_starred(people["carol"], APP, is_starred=True)
    assert stars(site) == 2
    assert site.services.summaries.of(people["bob"], APP).is_starred
    assert not site.services.summaries.of(people["alice"], APP).is_starred
    for _ in range(2):
        social.set_starred(people["bob"], APP, is_starred=False)
    assert stars(site) == site.services.summaries.of(None, APP).star_count == 1
    with pytest.raises(NotFound):
        social.set_starred(people["bob"], SECRET, is_starred=True)


def test_stars_given_at_once_are_all_counted(site, social, people):
    barrier = Barrier(4)

    def give(name):
        barrier.wait()
        for is_starred in (True, False, True):
            social.set_starred(people[name], APP, is_starred=is_starred)

    threads = [Thread(target=give, args=(name,)) for name in ("alice", "bob", "carol", "dave")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stars(site) == site.rows("SELECT count(*) FROM stars")[0][0] == 4


def test_a_comment_is_read_edited_and_its_history_kept(site, social, people):
    number = social.write(people["bob"], APP, " first\r\nline ")
    site.clock.move(minutes=1)
    social.edit(people["bob"], APP, number, "second")
    social.edit(people["bob"], APP, number, "second")
    detail = social.comment(None, APP, number)
    assert (detail.view.body, detail.view.author, detail.view.edited_at) == ("second", "bob", site.clock())
    assert detail.versions == [("first\nline", site.clock())]
    for name in ("alice", "carol", "root"):
        with pytest.raises(Forbidden):
            social.edit(people[name], APP, number, "forged")
    with pytest.raises(CommentNotFound):
        social.comment(None, OTHER, number)
    for edit in range(MAX_VERSIONS + 3):
        social.edit(people["bob"], APP, number, f"edit {edit}")
    assert len(social.comment(None, APP, number).versions) == MAX_VERSIONS


def test_an_author_deletes_a_comment_with_its_history_and_its_flags(site, social, people):
    number = social.write(people["bob"], APP, "cargo")
    social.edit(people["bob"], APP, number, "ballast")
    social.pin(people["alice"], APP, number, Tag("1.0"))
    social.flag(people["carol"], APP, number, "heavy")
    kept = social.write(people["carol"], APP, "kept")
    for name in ("alice", "carol", "root"):
        for ask in (social.deletable, social.delete):
            with pytest.raises(Forbidden, match="Only the author"):
                ask(people[name], APP, number)
    with pytest.raises(CommentNotFound):
        social.delete(people["bob"], OTHER, number)
    head, remark = social.deletable(people["bob"], APP, number)
    assert (head.name, head.comment_count, remark.body) == (APP, 2, "ballast")
    social.delete(people["bob"], APP, number)
    assert site.rows("SELECT id FROM comments") == [(kept,)]
    assert site.rows("SELECT 1 FROM comment_versions") == site.rows("SELECT 1 FROM flags") == []
    assert site.request("GET", "/v1/search?q=ballast").json["num_results"] == 0
    for ask in (social.deletable, social.delete):
        with pytest.raises(CommentNotFound):
            ask(people["bob"], APP, number)


def test_an_author_deletes_what_was_hidden_too(site, social, people):
    number = social.write(people["bob"], APP, "rude")
    social.set_hidden(people["alice"], "", APP, number, is_hidden=True)
    social.delete(people["bob"], APP, number)
    assert site.rows("SELECT 1 FROM comments") == []


@pytest.mark.parametrize("body", ["", "  \n ", "x" * (MAX_BODY + 1), "a\0b", "\u202eevil", "\ud800", None, 7])
def test_what_is_no_text_is_refused(social, people, body):
    with pytest.raises(Invalid):
        social.write(people["bob"], APP, body)
    assert bodies(social, None) == []


def test_a_hidden_comment_looks_absent_to_others(site, social, people):
    number = social.write(people["bob"], APP, "rude")
    social.write(people["carol"], APP, "kind")
    for name in ("bob", "carol", "root"):
        with pytest.raises(Forbidden):
            social.set_hidden(people[name], "", APP, number, is_hidden=True)
    social.set_hidden(people["alice"], "", APP, number, is_hidden=True)
    assert bodies(social, None) == bodies(social, people["carol"]) == bodies(social, people["root"]) == ["kind"]
    assert bodies(social, people["alice"]) == bodies(social, people["bob"]) == ["kind", "rude"]
    assert site.services.summaries.of(None, APP).comment_count == 1
    for reader in (None, people["carol"]):
        with pytest.raises(CommentNotFound):
            social.comment(reader, APP, number)
    with pytest.raises(CommentNotFound):
        social.flag(people["carol"], APP, number, "")
    social.set_hidden(people["alice"], "", APP, number, is_hidden=False)
    assert bodies(social, None) == ["kind", "rude"]


def test_what_an_administrator_of_the_index_hid_only_such_a_one_shows_again(social, people):
    number = social.write(people["bob"], APP, "rude")
    social.flag(people["carol"], APP, number, "manners")
    social.moderate(people["root"], "", number, hide=True)
    for is_hidden in (False, True):
        # Hiding it once more would make it the repository's administrator's to show.
        with pytest.raises(Forbidden, match="administrator of the index"):
            social.set_hidden(people["alice"], "", APP, number, is_hidden=is_hidden)
    assert social.comment(people["alice"], APP, number).view.is_moderated
    assert bodies(social, people["root"]) == ["rude"]
    by_token = replace(people["root"], limits=Limits(1, "*", True))
    for refused in (by_token, people["carol"]):
        with pytest.raises(CommentNotFound):
            social.set_hidden(refused, "", APP, number, is_hidden=False)
    social.set_hidden(people["root"], "", APP, number, is_hidden=False)
    assert bodies(social, None) == ["rude"]
    social.set_hidden(people["alice"], "", APP, number, is_hidden=True)
    with pytest.raises(CommentNotFound):
        social.set_hidden(people["root"], "", APP, number, is_hidden=False)


def test_what_was_hidden_stays_the_index_s_when_its_hider_is_no_administrator_any_more(site, social, people):
    site.services.operations.set_admin("carol", is_admin=True)
    number = social.write(people["bob"], APP, "rude")
    social.flag(people["dave"], APP, number, "manners")
    social.moderate(site.actor("carol"), "", number, hide=True)
    site.services.operations.set_admin("carol", is_admin=False)
    assert social.comment(people["alice"], APP, number).view.is_moderated
    with pytest.raises(Forbidden, match="administrator of the index"):
        social.set_hidden(people["alice"], "", APP, number, is_hidden=False)
    with pytest.raises(CommentNotFound):
        social.set_hidden(site.actor("carol"), "", APP, number, is_hidden=False)
    social.set_hidden(people["root"], "", APP, number, is_hidden=False)
    assert bodies(social, None) == ["rude"]


def test_what_a_repository_s_administrator_hid_is_theirs_to_show_whatever_they_become(site, social, people):
    number = social.write(people["bob"], APP, "rude")
    social.set_hidden(people["alice"], "", APP, number, is_hidden=True)
    site.services.operations.set_admin("alice", is_admin=True)
    assert not social.comment(people["alice"], APP, number).view.is_moderated
    with pytest.raises(CommentNotFound):
        social.comment(people["root"], APP, number)
    social.set_hidden(people["alice"], "", APP, number, is_hidden=False)
    assert bodies(social, None) == ["rude"]


def test_a_moderator_who_finds_nothing_wrong_shows_what_a_moderator_hid(social, people):
    number = social.write(people["bob"], APP, "rude")
    social.pin(people["alice"], APP, number, Tag("1.0"))
    social.flag(people["carol"], APP, number, "")
    social.moderate(people["root"], "", number, hide=True)
    social.moderate(people["root"], "", number, hide=False)
    assert bodies(social, None) == ["rude"]
    assert social.reported(people["root"], 10, 0) == ([], 0)
    social.flag(people["carol"], APP, number, "")
    social.set_hidden(people["alice"], "", APP, number, is_hidden=True)
    social.moderate(people["root"], "", number, hide=False)
    assert bodies(social, None) == []


def test_comments_of_a_private_repository_are_for_its_readers(social, people):
    number = social.write(people["alice"], SECRET, "between us")
    for reader in (None, people["bob"], people["root"]):
        with pytest.raises(NotFound, match="images not found"):
            social.thread(reader, SECRET, 10, 0)
        with pytest.raises(NotFound, match="images not found"):
            social.comment(reader, SECRET, number)
    with pytest.raises(NotFound, match="images not found"):
        social.write(people["bob"], SECRET, "me too")


def test_annotations_are_pinned_by_writers_to_what_is_there(social, people):
    on_tag, on_image = Tag("1.0"), ImageId(IMAGES[0])
    with pytest.raises(Forbidden):
        social.write(people["bob"], APP, "CVE-2014-0160", on_tag)
    number = social.write(people["bob"], APP, "CVE-2014-0160")
    with pytest.raises(Forbidden):
        social.pin(people["bob"], APP, number, on_tag)
    for absent in (Tag("2.0"), ImageId(IMAGES[5])):
        with pytest.raises(Invalid):
            social.pin(people["alice"], APP, number, absent)
    social.pin(people["alice"], APP, number, on_tag)
    assert [remark.tag for remark in social.overview(None, APP).annotations] == ["1.0"]
    social.pin(people["alice"], APP, number, on_image)
    assert social.overview(None, APP).annotations == []
    assert [remark.image_id for remark in social.annotations(None, None, [], [IMAGES[0]])] == [on_image]
    social.pin(people["alice"], APP, number, None)
    assert social.annotations(None, APP, ["1.0"], IMAGES) == []


def test_who_may_not_pin_unpins_by_editing(site, social, people):
    number = social.write(people["bob"], APP, "do not use")
    social.pin(people["alice"], APP, number, Tag("1.0"))
    social.edit(people["bob"], APP, number, "buy my pills")
    assert social.annotations(None, APP, ["1.0"], []) == []
    assert site.request("GET", "/v1/search?q=pills").json["num_results"] == 0
    own = social.write(people["alice"], APP, "do not use", Tag("1.0"))
    social.edit(people["alice"], APP, own, "do not use it at all")
    assert [remark.id for remark in social.annotations(None, APP, ["1.0"], [])] == [own]


def test_an_image_bears_the_annotations_of_every_repository_one_may_see(social, people):
    image = ImageId(IMAGES[1])
    social.write(people["alice"], APP, "seen by all", image)
    social.write(people["alice"], SECRET, "seen by few", image)
    shared = social.annotations(people["bob"], OTHER, ["latest"], [image])
    assert [(remark.body, remark.repository) for remark in shared] == [("seen by all", APP)]
    mine = social.annotations(people["alice"], None, [], [image])
    assert {remark.body for remark in mine} == {"seen by all", "seen by few"}
    assert [remark.body for remark in social.overview(None, OTHER).annotations] == ["seen by all"]


def test_the_first_page_asks_the_same_of_few_tags_and_of_many(site, engine, social, people):
    social.write(people["alice"], APP, "of the tag", Tag("1.0"))
    social.write(people["bob"], OTHER, "of the image", ImageId(IMAGES[1]))
    with counted_queries(engine) as few:
        before = social.overview(None, APP)
    with Database(engine).writing() as session:
        repository = catalogue.lock(session, APP)
        catalogue.announce_tags(
            session, repository, {Tag(f"t{n}"): ImageId(f"{n:064x}") for n in range(300)}, site.clock()
        )
        catalogue.conclude_push(session, repository, Pusher(people["alice"].id), site.clock())
    with counted_queries(engine) as many:
        after = social.overview(None, APP)
    # Databases take only so many parameters in one statement; here a tag and an image are no parameters at all.
    assert many == few
    assert len(after.tags) == 301
    assert after.annotations == before.annotations
    assert {remark.body for remark in after.annotations} == {"of the tag", "of the image"}


def test_annotations_are_found_and_shown_in_search(site, social, people):
    def found(words):
        return [hit["name"] for hit in site.request("GET", f"/v1/search?q={words}").json["results"]]

    number = social.write(people["alice"], APP, "heartbleed within")
    assert found("heartbleed") == []
    social.pin(people["alice"], APP, number, Tag("1.0"))
    assert found("heartbleed") == ["alice/app"]
    social.edit(people["alice"], APP, number, "shellshock within")
    assert (found("heartbleed"), found("shellshock")) == ([], ["alice/app"])
    social.set_hidden(people["alice"], "", APP, number, is_hidden=True)
    assert found("shellshock") == []
    social.set_hidden(people["alice"], "", APP, number, is_hidden=False)
    assert found("shellshock") == ["alice/app"]
    social.flag(people["bob"], APP, number, "")
    social.moderate(people["root"], "", number, hide=True)
    assert found("shellshock") == []


def test_what_moderators_do_is_noted_and_what_changes_nothing_is_not(site, social, people):
    number = social.write(people["bob"], APP, "rude")
    social.flag(people["carol"], APP, number, "")
    for is_hidden in (True, True, False):
        social.set_hidden(people["alice"], "192.0.2.9", APP, number, is_hidden=is_hidden)
    social.moderate(people["root"], "192.0.2.8", number, hide=True)
    social.moderate(people["root"], "192.0.2.8", number, hide=False)
    noted = site.rows("SELECT actor_name, action, subject, details, address FROM audit WHERE action LIKE 'comment.%'")
    details = json.dumps({"comment": number, "person": "bob"})
    assert [tuple(row) for row in noted] == [
        (who, f"comment.{action}", "alice/app", details, address)
        for who, action, address in [
            ("alice", "hidden", "192.0.2.9"),
            ("alice", "shown", "192.0.2.9"),
            ("root", "hidden", "192.0.2.8"),
            ("root", "flags-dismissed", "192.0.2.8"),
            ("root", "shown", "192.0.2.8"),
        ]
    ]


def test_flags_come_to_the_moderators(social, people):
    number = social.write(people["bob"], APP, "spam")
    fine = social.write(people["bob"], APP, "fine")
    for name in ("alice", "carol", "carol"):
        social.flag(people[name], APP, number, f"{name} minds")
    social.flag(people["dave"], APP, fine, "")
    with pytest.raises(Forbidden):
        social.flag(people["bob"], APP, number, "mine")
    for name in ("alice", "bob"):
        with pytest.raises(Forbidden):
            social.reported(people[name], 10, 0)
        with pytest.raises(Forbidden):
            social.moderate(people[name], "", number, hide=True)
    reported, total = social.reported(people["root"], 10, 0)
    assert [(one.view.id, one.flags, one.reasons) for one in reported] == [
        (number, 2, ("alice minds", "carol minds")),
        (fine, 1, ()),
    ]
    assert total == 2
    social.moderate(people["root"], "", fine, hide=False)
    social.unflag(people["alice"], APP, number)
    social.moderate(people["root"], "", number, hide=True)
    assert social.reported(people["root"], 10, 0) == ([], 0)
    assert bodies(social, people["carol"]) == ["fine"]
    with pytest.raises(CommentNotFound):
        social.moderate(people["root"], "", fine, hide=True)


def test_one_person_writes_only_so_fast(make_site, site):
    slow = make_site(comment_rate="2/hour")
    alice, bob = slow.actor("alice"), slow.actor("bob")
    number = slow.services.social.write(alice, APP, "one")
    slow.services.social.edit(alice, APP, number, "two")
    with pytest.raises(TooMany) as refused:
        slow.services.social.write(alice, APP, "three")
    assert 3500 < refused.value.retry_after <= 3600
    slow.services.social.write(bob, APP, "I did not write yet")
    assert site.rows("SELECT count(*) FROM comments") == [(2,)]


def test_an_address_has_to_be_confirmed_where_that_is_wanted(make_site, site):
    strict = make_site(comment_confirmed=True)
    with pytest.raises(Forbidden, match="Confirm"):
        strict.services.social.write(strict.actor("bob"), APP, "hello")
    strict.services.accounts.confirm(strict.confirmation_link("bob", "bob@example.com"), "192.0.2.1")
    strict.services.social.write(strict.actor("bob"), APP, "hello")


@pytest.mark.parametrize("limits", [Limits(1, "*", False), Limits(1, "carol/*", True)])
def test_an_access_token_says_no_more_than_it_was_made_for(social, people, limits):
    bob = type(people["bob"])(people["bob"].id, "bob", False, limits)
    number = social.write(people["bob"], APP, "mine")
    for refused in (
        lambda: social.write(bob, APP, "hello"),
        lambda: social.delete(bob, APP, number),
        lambda: social.set_starred(bob, APP, is_starred=True),
    ):
        with pytest.raises(Forbidden):
            refused()
    good = type(bob)(bob.id, "bob", False, Limits(1, "alice/*", True))
    social.set_starred(good, APP, is_starred=True)
    assert social.write(good, APP, "hello")
    social.delete(good, APP, number)


def test_nobody_reads_without_a_login_where_that_is_wanted(make_site, site):
    closed = make_site(anonymous_pull=False).services
    for question in (
        lambda: closed.social.overview(None, APP),
        lambda: closed.social.thread(None, APP, 10, 0),
        lambda: closed.search.explore(None),
    ):
        with pytest.raises(Unauthenticated):
            question()


def test_what_is_explored(site, social, people):
    site.clock.move(days=1)
    site.push("carol/late", "carol")
    social.set_starred(people["bob"], APP, is_starred=True)
    explored = site.services.search.explore(None)
    assert [hit.name for hit in explored.recent] == ["carol/late", "bob/other", "alice/app"]
    assert explored.starred[0].name == "alice/app"
    assert explored.totals.repositories == 3
    assert "alice/secret" in [hit.name for hit in site.services.search.explore(people["alice"]).recent]


def totals(site):
    site.restart()
    return astuple(site.services.search.explore(None).totals)


def pull_once(site, repository, user):
    site.pull_token(repository, user)
    site.services.pull_counts.flush()


def test_what_is_explored_adds_up_what_is_public_alone(site):
    with site.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE repositories SET layer_bytes = 1000 + length(name)")
    site.push("alice/secret", "alice", tag="2.0")
    for name in (APP, SECRET):
        pull_once(site, name, "alice")
    in_app, in_other, in_secret = 1003, 1005, 1006
    assert totals(site) == (2, 2, in_app + in_other, 1)
    site.set_private("alice/secret", False)
    assert totals(site) == (3, 4, in_app + in_other + in_secret, 2)
    site.clock.move(days=7)
    assert totals(site)[3] == 0


def test_the_overview(site, social, people):
    site.services.permissions.describe(people["alice"], APP, Texts(description="An app", readme="# App"))
    site.services.permissions.grant_role(people["alice"], "", APP, Grantee("carol"), Role.WRITE)
    site.push("alice/app", "alice", tag="2.0", images=IMAGES[2:4])
    overview = social.overview(people["carol"], APP)
    assert (overview.readme, overview.tags, overview.tag, overview.image_id) == (
        "# App",
        ["2.0", "1.0"],
        "2.0",
        IMAGES[3],
    )
    assert (overview.last_move.tag, overview.last_move.person) == ("2.0", "alice")
    assert len(overview.days) == 90
    assert social.overview(None, APP, "1.0").tag == "1.0"
    assert social.overview(None, APP, "9.9").tag == "2.0"
