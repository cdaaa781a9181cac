"""`/v2/` at the index: who gets a token for what, which repositories are listed, and where the way leads."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from common.tokens import Access, bearer, read_authorization, read_bearer
from index_service.accounts.access_tokens import NewToken
from tests.units.index_service.site import IMAGES, basic

BASE = "http://localhost/v2/token"
DOCKER = {"User-Agent": "docker/20.10.24 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0 os/linux arch/amd64"}


@pytest.fixture
def contents():
    return populate


def populate(site):
    for name in ("alice", "bob"):
        site.user(name)
    site.user("root", admin=True)
    site.push("library/busybox", "root", images=IMAGES[:1])
    site.push("alice/app", "alice")
    site.push("alice/secret", "alice", images=IMAGES[2:4])
    site.set_private("alice/secret")
    site.push("bob/deep/er", "bob", images=IMAGES[4:5])


def ask(site, *scopes, **asking):
    query = "&".join(f"scope={scope}" for scope in scopes)
    return site.request("GET", f"/v2/token?service=localhost&{query}", **asking)


def pull(name):
    return f"repository:{name}:pull"


def opened(word):
    return [(str(token.repository), token.access) for token in read_bearer(word)]


def code_of(answer):
    assert answer.content_type == "application/json"
    (error,) = answer.json["errors"]
    assert error["message"]
    return error["code"]


# --- who is served by v1 ---------------------------------------------------------------------------------------------


def test_daemons_that_push_by_v1_find_nothing(site):
    for path in ("/v2", "/v2/", "/v2/token", "/v2/_catalog", "/v2/alice/app/manifests/latest"):
        for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
            answer = site.request(method, path, **{"User-Agent": "docker/1.9.1 go/go1.4.2"})
            assert answer.status_code == 404
            assert method == "HEAD" or code_of(answer) == "MANIFEST_UNKNOWN"
            assert not is_versioned(answer)


def test_everybody_else_is_challenged(site):
    for agent in ("docker/17.06.0-ce go/go1.8.3", "docker/20.10.24", "containerd/1.6.20", "libpod/4.3.1", ""):
        answer = site.request("GET", "/v2/", **{"User-Agent": agent})
        assert (answer.status_code, code_of(answer)) == (401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{BASE}",service="localhost"'
        assert not is_versioned(answer)


def is_versioned(answer):
    """Daemons from 1.5 to 1.9 that see such a header leave v1."""
    return [name for name, _ in answer.headers if name.lower().startswith("docker-distribution")]


# --- the base and the realm ------------------------------------------------------------------------------------------


def test_without_a_token_of_ours_the_base_says_where_to_get_one(site):
    for path in ("/v2", "/v2/"):
        for auth in (None, "Basic Og==", "Bearer", "Bearer x", "Bearer !!!", "Token x", "Bearer c2lnbmF0dXJl"):
            assert site.request("GET", path, auth=auth).status_code == 401


def test_any_token_satisfies_the_base(site):
    """Docker takes a login for good only then, whatever the token opens."""
    for user in (None, "bob"):
        for scopes in ((), (pull("alice/app"),), (pull("alice/secret"),), ("registry:catalog:*",)):
            word = ask(site, *scopes, user=user).json["token"]
            assert site.request("GET", "/v2/", auth=f"Bearer {word}").status_code == 200


def test_the_realm_is_the_site_if_it_has_an_address(make_site):
    site = make_site(site_url="https://hub.example")
    answer = site.request("GET", "/v2/", Host="10.0.0.7:5000")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="https://hub.example/v2/token",service="10.0.0.7:5000"'


def test_else_it_is_the_host_that_the_client_named(site):
    answer = site.request("GET", "/v2/", Host="hub_1:5000")
    assert 'realm="http://hub_1:5000/v2/token"' in answer.headers["WWW-Authenticate"]


# --- tokens ----------------------------------------------------------------------------------------------------------


READ_OF = {
    (None, "alice/app"): True,
    (None, "alice/secret"): False,
    (None, "alice/absent"): False,
    ("bob", "alice/app"): True,
    ("bob", "alice/secret"): False,
    ("bob", "bob/deep/er"): True,
    ("alice", "alice/secret"): True,
    ("bob", "busybox"): True,
    ("bob", "Not/A/Na me"): False,
}


def test_a_token_opens_what_its_owner_may_read_and_no_error_says_more(site):
    for (user, name), is_open in READ_OF.items():
        word = ask(site, pull(name), user=user).json["token"]
        full = name if "/" in name else f"library/{name}"
        assert opened(word) == [(full if is_open else "library/_catalog", Access.READ)]
        if is_open:
            assert site.redeem(full, f"Token {read_bearer(word)[0]}") == 200


SCOPES = [
    ([pull("alice/app"), pull("bob/deep/er")], ["alice/app", "bob/deep/er"]),
    (["repository:alice/app:pull%20repository:bob/deep/er:pull"], ["alice/app", "bob/deep/er"]),
    (["repository:alice/app:pull,push"], ["alice/app"]),
    (["repository(plugin):alice/app:pull"], ["alice/app"]),
    ([pull("alice/app"), pull("alice/app")], ["alice/app"]),
    ([pull("alice/app"), "registry:catalog:*"], ["alice/app"]),
    (["repository:", "repository::pull", ":", "nonsense", "a:b:c:d"], ["library/_catalog"]),
    ([pull(f"bob/{number}") for number in range(8)] + [pull("alice/app")], ["library/_catalog"]),
]


def test_scopes(site):
    for scopes, names in SCOPES:
        assert opened(ask(site, *scopes, user="alice").json["token"]) == [(name, Access.READ) for name in names]


def test_nobody_writes_by_it(site):
    word = ask(site, "repository:alice/app:pull,push,delete,*", user="alice").json["token"]
    assert opened(word) == [("alice/app", Access.READ)]


def test_what_comes_with_a_token(site):
    answer = ask(site, pull("alice/app"))
    assert answer.json["expires_in"] == 6 * 3600
    assert answer.json["issued_at"] == "2015-06-08T12:00:00Z"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert not {"X-Docker-Token", "X-Docker-Endpoints", "WWW-Authenticate"} & set(answer.headers.keys())


CREDENTIALS = [
    (basic("alice", "wrong"), 401),
    (basic("nobody"), 401),
    ("Basic !!!", 401),
    ("Token", 401),
    ("Bearer x", 401),
    ("Basic Og==", 200),
    (basic("ALICE", "password-alice"), 200),
]


def test_a_wrong_credential_is_refused(site):
    for auth, status in CREDENTIALS:
        answer = ask(site, pull("alice/app"), auth=auth)
        assert answer.status_code == status
        assert status == 200 or code_of(answer) == "UNAUTHORIZED"


def test_a_closed_account_gets_none_and_its_token_ends(site):
    word = ask(site, user="alice").json["token"]
    site.set_active("alice", False)
    answer = ask(site, user="alice")
    assert (answer.status_code, code_of(answer)) == (403, "DENIED")
    assert site.request("GET", "/v2/", auth=f"Bearer {word}").status_code == 401


@pytest.mark.parametrize("by_form", [False, True])
def test_guessing_is_bounded_as_elsewhere(make_site, by_form):
    site = make_site(login_rate="3/minute")
    answers = [
        post(site, username="alice", password="no") if by_form else ask(site, auth=basic("alice", "no"))
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert code_of(answers[-1]) == "TOOMANYREQUESTS"
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert site.request("GET", "/v1/users/", auth=basic("alice", "no")).status_code == 429


def test_an_access_token_opens_what_it_is_limited_to(site):
    for pattern, names in (("alice/*", SEEN["alice"]), ("bob/*", SEEN["bob"])):
        token = NewToken("ci", pattern, False, None)
        secret = site.services.accounts.make_access_token(site.actor("alice"), token, "")
        word = ask(site, pull("alice/secret"), pull("alice/app"), auth=basic("alice", secret)).json["token"]
        assert dict(opened(word)).keys() == {"alice/app", "alice/secret"} & set(names)
        assert catalogue(site, word) == names


def post(site, raw=None, **form):
    fields = {"grant_type": "password", "service": "localhost", "client_id": "containerd-client", **form}
    data = raw if raw is not None else "&".join(f"{key}={value}" for key, value in fields.items())
    return site.request("POST", "/v2/token", raw=data, **{"Content-Type": "application/x-www-form-urlencoded"})


def test_a_token_by_form(site):
    answer = post(site, username="alice", password="password-alice", scope=pull("alice/secret"))
    assert opened(answer.json["token"]) == [("alice/secret", Access.READ)]


REFUSED_FORMS = [
    ({"username": "alice", "password": "wrong"}, 401),
    ({"grant_type": "refresh_token", "refresh_token": "x"}, 401),
    ({"grant_type": "authorization_code"}, 400),
    ({"raw": ""}, 400),
    ({"raw": b"\xff\xfe=&&&=%zz"}, 400),
    ({"raw": b"x" * 70_000}, 413),
]


def test_forms_that_get_none(site):
    for form, status in REFUSED_FORMS:
        answer = post(site, **form)
        assert answer.status_code == status
        assert code_of(answer)


def test_an_identity_opens_no_repository(site):
    word = ask(site, user="alice").json["token"]
    (identity,) = read_bearer(word)
    for name in ("alice/app", "alice/secret", "library/_catalog", "library/busybox"):
        assert site.redeem(name, f"Token {identity}") == 401
    assert site.request("GET", "/v2/alice/app/tags/list", auth=f"Bearer {word}").status_code == 401


def test_a_token_expires(site):
    word = ask(site, pull("alice/app"), user="alice").json["token"]
    site.clock.move(hours=7)
    assert site.request("GET", "/v2/", auth=f"Bearer {word}").status_code == 401
    assert site.request("GET", "/v2/alice/app/tags/list", auth=f"Bearer {word}").status_code == 401


# --- pulls -----------------------------------------------------------------------------------------------------------


def pulls(site):
    site.services.pull_counts.flush()
    return {row.name: row.pull_count for row in site.rows("SELECT name, pull_count FROM repositories")}


def test_a_pull_counts_once_however_many_tokens_it_takes(site):
    for process in range(2):
        for user in (None, "bob"):
            for _ in range(3):
                ask(site, pull("alice/app"), user=user)
        ask(site, pull("alice/secret"), user="bob")
        ask(site, "repository:bob/deep/er:pull,push", user="bob")
        assert pulls(site) == {"busybox": 0, "app": 2, "secret": 0, "deep/er": 0}, process
        site.restart()
    ask(site, pull("alice/app"), address="10.0.0.9")
    assert pulls(site)["app"] == 3
    site.clock.move(seconds=61)
    ask(site, pull("alice/app"), user="bob")
    assert pulls(site)["app"] == 4


# --- the catalogue ---------------------------------------------------------------------------------------------------


def catalogue(site, word, query=""):
    answer = site.request("GET", f"/v2/_catalog{query}", auth=f"Bearer {word}")
    assert answer.status_code == 200, answer.data
    return answer.json["repositories"]


SEEN = {
    None: ["alice/app", "bob/deep/er", "library/busybox"],
    "bob": ["alice/app", "bob/deep/er", "library/busybox"],
    "alice": ["alice/app", "alice/secret", "bob/deep/er", "library/busybox"],
}


@pytest.mark.parametrize("user", SEEN)
def test_the_catalogue_has_what_one_may_read(site, user):
    site.push("alice/begun", "alice", images=IMAGES[5:6], told=False)
    assert catalogue(site, ask(site, "registry:catalog:*", user=user).json["token"]) == SEEN[user]


def test_the_catalogue_in_pages(site):
    word = ask(site, "registry:catalog:*", user="alice").json["token"]
    pages, path = [], "/v2/_catalog?n=3"
    while path:
        answer = site.request("GET", path, auth=f"Bearer {word}")
        pages.append(answer.json["repositories"])
        link = answer.headers.get("Link")
        path = link and link.removeprefix("<").removesuffix('>; rel="next"')
    assert pages == [SEEN["alice"][:3], SEEN["alice"][3:]]
    assert catalogue(site, word, "?n=4&last=alice/app") == SEEN["alice"][1:]
    assert catalogue(site, word, "?n=0") == []


@pytest.mark.parametrize(("query", "code"), [("?n=x", "PAGINATION_NUMBER_INVALID"), ("?last=a/b%20c", "NAME_INVALID")])
def test_pages_that_are_none(site, query, code):
    word = ask(site, user="alice").json["token"]
    answer = site.request("GET", f"/v2/_catalog{query}", auth=f"Bearer {word}")
    assert (answer.status_code, code_of(answer)) == (400, code)


def test_without_a_token_there_is_no_catalogue(site):
    answer = site.request("GET", "/v2/_catalog")
    assert answer.status_code == 401
    assert 'scope="registry:catalog:*"' in answer.headers["WWW-Authenticate"]


def test_where_nobody_reads_without_a_login(make_site):
    site = make_site(anonymous_pull=False)
    word = ask(site, pull("alice/app")).json["token"]
    assert site.request("GET", "/v2/", auth=f"Bearer {word}").status_code == 200
    assert site.request("GET", "/v2/_catalog", auth=f"Bearer {word}").status_code == 401
    assert site.request("GET", "/v2/alice/app/tags/list", auth=f"Bearer {word}").status_code == 401
    assert catalogue(site, ask(site, user="bob").json["token"]) == SEEN["bob"]


# --- the way to a registry -------------------------------------------------------------------------------------------


WAYS = [
    ("alice/app", "manifests/latest", ""),
    ("alice/app", f"blobs/sha256:{'0' * 64}", ""),
    ("bob/deep/er", "tags/list", "n=2&last=a%26b"),
    ("busybox", "manifests/latest", ""),
]


def test_the_redirect_bears_the_token(site):
    for name, rest, query in WAYS:
        word = ask(site, pull(name), pull("alice/app"), user="alice").json["token"]
        answer = site.request(
            "HEAD" if "manifests" in rest else "GET", f"/v2/{name}/{rest}?{query}", auth=f"Bearer {word}"
        )
        assert (answer.status_code, answer.data) == (307, b"")
        address = urlsplit(answer.headers["Location"])
        assert (address.scheme, address.netloc, address.path) == ("http", "127.0.0.1:5001", f"/v2/{name}/{rest}")
        sent = parse_qs(address.query)
        (passed,) = read_bearer(sent.pop("token")[0])
        assert (str(passed.repository).removeprefix("library/"), passed.access) == (name, Access.READ)
        assert sent == parse_qs(query)


def test_the_redirect_leads_to_the_registry_that_has_the_repository(make_site):
    site = make_site(registry_endpoints=("r1.example:5001", "r2.example:5001"))
    site.push("alice/placed", "alice")
    (row,) = site.rows("SELECT endpoint FROM repositories WHERE name = 'placed'")
    assert row.endpoint in site.settings.registry_endpoints
    word = ask(site, pull("alice/placed")).json["token"]
    answer = site.request("GET", "/v2/alice/placed/tags/list", auth=f"Bearer {word}")
    assert urlsplit(answer.headers["Location"]).netloc == row.endpoint


def test_a_token_of_writing_leads_nowhere(site):
    written = site.push("alice/app", "alice").removeprefix("Token ")
    word = bearer(read_bearer(ask(site, pull("bob/deep/er")).json["token"]))
    assert site.redeem("alice/app", f"Token {written}") == 200
    both = bearer(read_authorization(f"Token {written}") + read_bearer(word))
    assert site.request("GET", "/v2/alice/app/tags/list", auth=f"Bearer {both}").status_code == 401


def test_without_a_token_that_opens_it_every_name_is_answered_alike(site):
    for name in ("alice/app", "alice/secret", "alice/absent"):
        check_refusal(site, name)


def check_refusal(site, name):
    bare = site.request("GET", f"/v2/{name}/manifests/latest")
    assert (bare.status_code, code_of(bare)) == (401, "UNAUTHORIZED")
    said = f'Bearer realm="{BASE}",service="localhost",scope="repository:{name}:pull"'
    assert bare.headers["WWW-Authenticate"] == said
    word = ask(site, pull(f"{name}-other"), user="bob").json["token"]
    shown = site.request("GET", f"/v2/{name}/manifests/latest", auth=f"Bearer {word}")
    assert shown.status_code == 401
    # Without it containerd repeats the request, and docker says nothing of a login.
    assert shown.headers["WWW-Authenticate"] == f'{said},error="insufficient_scope"'


def test_a_proxy_that_brings_the_client_back_is_told_so(site):
    word = ask(site, pull("alice/app")).json["token"]
    answer = site.request("GET", f"/v2/alice/app/tags/list?token={word}", auth=f"Bearer {word}")
    assert (answer.status_code, code_of(answer)) == (503, "UNAVAILABLE")
    assert "proxy" in json.loads(answer.data)["errors"][0]["message"]


NOT_SERVED = [
    ("PUT /v2/alice/app/manifests/latest", 405, "UNSUPPORTED"),
    ("POST /v2/alice/app/blobs/uploads/", 405, "UNSUPPORTED"),
    ("PATCH /v2/alice/app/blobs/uploads/1", 405, "UNSUPPORTED"),
    ("DELETE /v2/alice/app/manifests/latest", 405, "UNSUPPORTED"),
    ("PUT /v2/token", 405, "UNSUPPORTED"),
    ("POST /v2/", 405, "UNSUPPORTED"),
    ("GET /v2/alice/app", 404, "NAME_UNKNOWN"),
    ("GET /v2/nothing", 404, "NAME_UNKNOWN"),
    ("GET /v2/a%20b/manifests/x", 400, "NAME_INVALID"),
    ("GET /v2/../manifests/x", 400, "NAME_INVALID"),
]


def test_what_is_not_served(site):
    for line, status, code in NOT_SERVED:
        method, path = line.split()
        answer = site.request(method, path)
        assert (answer.status_code, code_of(answer)) == (status, code)
        assert status != 405 or "v1" in answer.json["errors"][0]["message"]
