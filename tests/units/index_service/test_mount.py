"""The site below a path: every link leads there, through proxies that pass the path on or take it away."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.units.index_service.reader import Page, Reader
from tests.units.index_service.site import IMAGES, basic
from tests.units.index_service.test_web_sign_in import read_letters

MOUNT = "/the/hub"
AT = f"http://images.example.com{MOUNT}"
HOST = {"HTTP_HOST": "images.example.com"}


@pytest.fixture
def site(make_site, tmp_path):
    site = make_site(mail_folder=str(tmp_path / "mail"), site_url=AT)
    site.user("alice", admin=True)
    site.push("alice/app", "alice")
    return site


def sign_in(reader: Reader):
    form = reader.open(f"{MOUNT}/account").forms[f"{MOUNT}/sign-in"]
    reader.post(f"{MOUNT}/sign-in", **{**form, "name": "alice", "password": "password-alice"})


def links_of(page: Page):
    given = [value for _, attributes in page.attributes for name, value in attributes.items() if name in NAMES]
    return {urlsplit(link).path for link in given if link.startswith("/")}


NAMES = {"href", "src", "action"}


@pytest.mark.parametrize("passed_on", [True, False], ids=["path passed on", "path taken away"])
def test_every_link_of_every_page_leads_below_the_path(site, passed_on):
    reader = Reader(site, **HOST)
    sign_in(reader)
    waiting, seen = {f"{MOUNT}/", f"{MOUNT}/r/alice/app", f"{MOUNT}/i/{IMAGES[0]}"}, set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = reader.get(path if passed_on else path.removeprefix(MOUNT))
        assert answer.status_code in (200, 303, 400, 405), path
        if answer.mimetype != "text/html" or answer.status_code != 200:
            continue
        links = links_of(Page(answer))
        assert [link for link in links if not link.startswith(f"{MOUNT}/")] == [], path
        waiting |= {link for link in links if link.count("/") < 7 and "sign-out" not in link} - seen
    assert len(seen) > 40
    assert {f"{MOUNT}/graph", f"{MOUNT}/admin/audit", f"{MOUNT}/account/tokens", f"{MOUNT}/r/alice/app/@tags"} < seen


def test_forms_redirects_and_lists_stay_below_the_path(site):
    reader = Reader(site, **HOST)
    sign_in(reader)
    assert reader.answer.location == f"{MOUNT}/account"
    reader.open(f"{MOUNT}/r/alice/app")
    reader.post(f"{MOUNT}/language", **{**reader.open(f"{MOUNT}/").forms[f"{MOUNT}/language"], "language": "zh"})
    assert reader.answer.location == f"{MOUNT}/"
    reader.post(f"{MOUNT}/sign-out", **reader.open(f"{MOUNT}/").forms[f"{MOUNT}/sign-out"])
    assert reader.answer.location == f"{MOUNT}/"
    listed = reader.get(f"{MOUNT}/api/v1/people/alice/activity?page=2")
    assert listed.status_code == 200
    assert f"<{MOUNT}/api/v1/people/alice/activity" in listed.headers["Link"]
    assert reader.get(f"{MOUNT}/api/v1/openapi.json").get_json()["servers"] == [{"url": AT}]


def test_letters_link_below_the_path(site):
    reader = Reader(site, **HOST)
    reader.send(f"{MOUNT}/reset", email="alice@example.com")
    (path,) = re.findall(rf"http://images\.example\.com({MOUNT}/reset/\S+)", read_letters(site)[-1].get_content())
    assert reader.get(path).status_code == 200


def test_protocols_stay_at_the_root(site):
    assert site.request("GET", "/v1/_ping").status_code == 200
    assert site.request("GET", "/v1/users/", auth=basic("alice")).status_code == 200
    assert site.request("GET", f"{MOUNT}/v1/_ping").status_code == 404
    challenge = site.request("GET", "/v2/", **{"User-Agent": "docker/20.10.24"}).headers["WWW-Authenticate"]
    assert 'realm="http://images.example.com/v2/token"' in challenge


def test_a_trusted_proxy_names_the_path(make_site):
    site = make_site(trusted_proxies=1)
    header = {"X-Forwarded-Prefix": MOUNT}
    assert all(link.startswith(f"{MOUNT}/") for link in links_of(Reader(site).open("/", **header)))
    site.restart(trusted_proxies=0)
    assert not any(link.startswith(MOUNT) for link in links_of(Reader(site).open("/", **header)))
