"""Quotas of bytes and repositories: off at first, set by administrators, told to owners, kept under races."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from common.errors import Forbidden
from common.names import RepositoryName
from index_service.accounts.organisations import OrganisationProfile
from index_service.database import Database
from index_service.images import image_store, storage_usage
from index_service.images.quotas import Quota, QuotaChange
from index_service.repositories import catalogue
from tests.units.index_service.json_api.world import fact
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import IMAGES

REFUSED = "delete repositories, or ask an administrator for more"


@pytest.fixture
def site(site):
    for name in ("alice", "bob"):
        site.user(name)
    site.user("root", admin=True)
    with Database(site.engine).writing() as session:
        image_store.record(session, [fact(number) for number in range(3)], site.clock())
    return site


def push(site, name, user="alice"):
    return site.request("PUT", f"/v1/repositories/{name}/", user=user, ask=True, body=[{"id": IMAGES[0]}])


def limit(site, namespace="alice", **quota):
    site.services.operations.set_quota(namespace, QuotaChange(**quota))


def used(site, namespace="alice"):
    return site.services.operations.quota(namespace).bytes


def test_without_a_quota_nothing_is_counted_or_refused(site):
    for number in range(3):
        site.push(f"alice/app{number}", "alice", images=IMAGES[:3])
    assert site.services.permissions.namespace(site.actor("alice"), "alice").quota is None


def test_a_push_is_refused_once_the_bytes_are_used_up_and_no_sooner(site):
    limit(site, bytes=3000)
    site.push("alice/app", "alice", images=IMAGES[:2])
    assert used(site) == 2000
    site.push("alice/more", "alice", images=IMAGES[:3])
    assert used(site) == 3000
    for name in ("alice/app", "alice/new"):
        answer = push(site, name)
        assert answer.status_code == 403
        assert answer.json == {"error": f"The quota of alice is used up: 3.0 kB of 3.0 kB; {REFUSED}"}
        assert "X-Docker-Token" not in answer.headers
    assert push(site, "bob/app", "bob").status_code == 200
    assert push(site, "alice/new", "bob").json == {"error": "bob may not write repositories of alice"}
    assert site.rows("SELECT name FROM repositories WHERE name = 'new'") == []
    assert site.request("GET", "/v1/repositories/alice/app/images", user="alice", ask=True).status_code == 200
    site.drop("alice/more")
    assert push(site, "alice/app").status_code == 200


def test_what_is_kept_apart_counts_in_each_repository_and_what_is_shared_once(site):
    for name in ("alice/app", "alice/more"):
        site.push(name, "alice", images=IMAGES[:2], held=False)
        site.hold(name, IMAGES[:2], apart=1)
    with Database(site.engine).writing() as session:
        for repository in site.rows("SELECT id FROM repositories ORDER BY id"):
            assert image_store.unsized(session, repository.id) == [IMAGES[1]]
            image_store.record_sizes(session, repository.id, {IMAGES[0]: 9, IMAGES[1]: 70})
            assert image_store.unsized(session, repository.id) == []
            image_store.sum_layers(session, [repository.id])
    assert used(site) == 1000 + 70 + 70
    with Database(site.engine).reading() as session:
        (row,) = storage_usage.measure(session).namespaces
    assert (row.together, row.apart, row.images) == (1140, 2 * 1070, 3)


def test_a_first_push_is_refused_where_the_repositories_are_used_up(site):
    limit(site, repositories=1)
    for _ in range(2):
        assert push(site, "alice/app").status_code == 200
    answer = push(site, "alice/more")
    assert (answer.status_code, answer.json["error"]) == (
        403,
        f"The quota of alice is used up: 1 of 1 repositories; {REFUSED}",
    )
    limit(site, repositories=0)
    assert push(site, "alice/more").status_code == 200


def test_of_first_pushes_at_once_no_more_succeed_than_are_allowed(site):
    limit(site, repositories=3)
    gate = Barrier(8)

    def first(number):
        gate.wait()
        return push(site, f"alice/app{number % 6}").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(first, range(8)))
    assert len(site.rows("SELECT id FROM repositories")) == 3
    assert set(statuses) == {200, 403}


def test_defaults_hold_for_all_but_library_and_those_with_a_quota_of_their_own(site):
    site.restart(quota_repositories=1)
    limit(site, "bob", repositories=2)
    assert [push(site, f"alice/app{number}").status_code for number in range(2)] == [200, 403]
    assert [push(site, f"bob/app{number}", "bob").status_code for number in range(3)] == [200, 200, 403]
    assert [push(site, f"app{number}", "root").status_code for number in range(3)] == [200, 200, 200]
    limit(site, "library", repositories=3)
    assert push(site, "app9", "root").status_code == 403
    limit(site, "bob")
    assert push(site, "bob/app9", "bob").status_code == 403


def test_nothing_is_transferred_into_a_namespace_that_has_no_room(site):
    site.services.organisations.create(site.actor("alice"), "", "acme", OrganisationProfile())
    site.push("alice/app", "alice", images=IMAGES[:3])
    site.push("acme/tool", "alice", images=IMAGES[:1])
    app, transfer = RepositoryName.parse("alice/app"), site.services.permissions.transfer
    for quota in ({"repositories": 1}, {"bytes": 1000}):
        limit(site, "acme", **quota)
        with pytest.raises(Forbidden, match="The quota of acme is used up"):
            transfer(site.actor("alice"), "", app, RepositoryName.parse("acme/app"))
        page = Reader(site, "alice").send(
            "/r/alice/app/@settings/transfer", "/r/alice/app/@settings/transfer", target="acme/app"
        )
        assert "The quota of acme is used up" in page.text
    limit(site, "alice", repositories=1)
    transfer(site.actor("alice"), "", app, RepositoryName.parse("alice/renamed"))
    limit(site, "acme", bytes=1001, repositories=2)
    transfer(site.actor("alice"), "", RepositoryName.parse("alice/renamed"), RepositoryName.parse("acme/app"))
    with Database(site.engine).reading() as session:
        assert catalogue.find(session, RepositoryName.parse("acme/app")) is not None


def test_a_quota_is_set_and_seen_by_administrators_and_seen_by_owners(site):
    site.push("alice/app", "alice", images=IMAGES[:2])
    root = Reader(site, "root")
    page = root.send("/admin/quotas/alice", bytes="10 GB", repositories="7")
    assert page.forms["/admin/quotas/alice"]["bytes"] == "10 GB"
    shown = {
        "namespace": "alice",
        "bytes": 2000,
        "repositories": 1,
        "bytes_allowed": 10**10,
        "repositories_allowed": 7,
        "quota_bytes": 10**10,
        "quota_repositories": 7,
    }
    assert root.api("/admin/quotas/alice") == shown
    assert root.open("/admin/quotas?namespace=alice").text == root.open("/admin/quotas/alice").text
    assert "10.0 GB" in root.open("/admin/storage").text.replace("\u00a0", " ")
    owner = Reader(site, "alice")
    assert owner.api("/namespaces/alice")["quota"] == {
        key: value for key, value in shown.items() if key in ("bytes", "repositories") or key.endswith("allowed")
    }
    assert "of 10.0 GB" in owner.open("/u/alice/@access").text.replace("\u00a0", " ")
    (entry,) = site.rows("SELECT actor_name, subject, details FROM audit WHERE action = 'quota.changed'")
    assert (entry.actor_name, entry.subject) == ("root", "alice")
    assert json.loads(entry.details) == {"bytes": 10**10, "repositories": 7}
    root.send("/admin/quotas/alice", bytes="", repositories="0")
    assert Reader(site, "alice").api("/namespaces/alice")["quota"] is None


@pytest.mark.parametrize(("field", "text"), [("bytes", "ten"), ("bytes", "9" * 19 + "TB"), ("repositories", "-1")])
def test_what_is_no_quota_is_refused(site, field, text):
    page = Reader(site, "root").send("/admin/quotas/alice", **{field: text})
    assert "1 problem to fix" in page.text
    assert site.services.operations.quota("alice").own == Quota()


def test_the_api_changes_what_is_given(site):
    site.services.operations.set_quota("alice", {"bytes": 5})
    site.services.operations.set_quota("alice", {"repositories": 6})
    assert site.services.operations.quota("alice").own == Quota(5, 6)
    root = Reader(site, "root")
    csrf = root.open("/account").forms["/language"]["csrf"]

    def change(body, name="alice"):
        return root.client.patch(
            f"/api/v1/admin/quotas/{name}", json=body, headers={"X-CSRF-Token": csrf}, environ_overrides=root.environ
        )

    assert change({"quota_bytes": None}).status_code == 200
    assert site.services.operations.quota("alice").own == Quota(None, 6)
    assert change({"quota_repositories": 0}).json["quota_repositories"] == 0
    for wrong in ({"quota_bytes": -1}, {"quota_bytes": "5"}, {"quota_repositories": 10**10}):
        assert change(wrong).status_code == 400
    assert change({"quota_bytes": 1}, "nobody").status_code == 404
