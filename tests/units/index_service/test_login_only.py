"""An index where nobody reads without a login: every name answers alike, and whoever has one reads as elsewhere."""

from __future__ import annotations

import pytest

from tests.units.index_service.site import IMAGES, basic


def two_people(site):
    site.user("alice")
    site.user("bob")
    site.push("alice/app", "alice")
    site.push("alice/secret", "alice", images=IMAGES[2:4])
    site.set_private("alice/secret")


@pytest.fixture
def contents():
    return two_people


@pytest.fixture
def site(make_site):
    return make_site(anonymous_pull=False)


@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize("name", ["alice/app", "alice/secret", "alice/absent", "absent/app"])
@pytest.mark.parametrize("auth", [None, "Basic Og==", "Token"])
def test_without_a_login_every_name_answers_alike(site, name, ask, auth):
    answer = site.request("GET", f"/v1/repositories/{name}/images", ask=ask, auth=auth)
    assert (answer.status_code, answer.json) == (401, {"error": "Requires authorization"})
    assert "X-Docker-Token" not in answer.headers


def test_without_a_login_nothing_is_found(site):
    for path in ("/v1/search", "/v1/search?q=app"):
        answer = site.request("GET", path)
        assert (answer.status_code, answer.json) == (401, {"error": "Requires authorization"})
    assert site.request("GET", "/v1/search?q=app", user="bob").json["num_results"] == 1


def test_whoever_has_one_pulls_what_is_public(site):
    token = site.pull_token("alice/app", "bob")
    assert site.redeem("alice/app", token) == 200
    access = site.request("GET", f"/v1/repositories/alice/app/layer/{IMAGES[0]}/access", auth=token)
    assert access.json == {"access": True}
    assert site.request("GET", "/v1/repositories/alice/secret/images", user="bob").status_code == 404


def test_a_token_given_to_nobody_before_opens_nothing_now(make_site):
    site = make_site()
    token = site.pull_token("alice/app")
    assert site.redeem("alice/app", token) == 200
    site.restart(anonymous_pull=False)
    assert site.redeem("alice/app", token) == 401
    assert site.request("GET", "/v1/repositories/alice/app/images", auth=basic("alice")).status_code == 200
