"""Tokens: what is believed, for how long, and what ends them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from itsdangerous import URLSafeSerializer
from sqlalchemy import event

from common.names import RepositoryName
from tests.units.index_service.site import IMAGES, KEY, authorization, basic

OTHER_KEY = "other-key-0123456789-0123456789-0123456789"


def alice_and_bob(site):
    site.user("alice")
    site.user("bob")


@pytest.fixture
def contents():
    return alice_and_bob


def auth(site, repository, header):
    return site.request("PUT", f"/v1/repositories/{repository}/auth", auth=header)


def signature(header):
    return header.partition("signature=")[2].partition(",")[0]


def token_of(site, access):
    """The Authorization header of a fresh token of alice/app."""
    writer = site.push("alice/app", "alice")
    if access == "write":
        return writer
    if access == "delete":
        return authorization(site.request("DELETE", "/v1/repositories/alice/app/", user="alice"))
    return site.pull_token("alice/app", "alice")


ACCESSES = pytest.mark.parametrize("access", ["read", "write", "delete"])


@ACCESSES
def test_a_token_is_good_any_number_of_times_and_in_parallel(site, access):
    token = token_of(site, access)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: site.redeem("alice/app", token), range(40))) == {200}
    answer = site.request("GET", "/v1/repositories/alice/app/images", auth=token)
    assert answer.json == [{"id": image, "held": "shared"} for image in IMAGES[:2]]
    assert not {"X-Docker-Token", "X-Docker-Endpoints", "WWW-Authenticate"} & set(answer.headers.keys())


@ACCESSES
def test_every_spelling_of_the_header_is_read(site, access):
    token = token_of(site, access).removeprefix("Token ")
    other = 'signature=abc,repository="bob/app",access=read'
    for spelling in (
        f"Token {token}",
        f"token {token}",
        f"Token Token {token}",
        f"TOKEN   {token.replace(',', ', ')}",
        f"Token {other},{token}",
        f"Token {token}, {other}",
        f'Token signature=abc,repository="alice/app",access=read,{token}',
    ):
        assert site.redeem("alice/app", spelling) == 200


def test_only_the_digest_is_stored(site):
    token = token_of(site, "write")
    row = site.rows("SELECT * FROM tokens WHERE access = 'write'")[0]
    text = signature(token)
    assert hashlib.sha256(text.encode()).hexdigest() in row
    assert not any(text in str(value) or text.partition(".")[2] in str(value) for value in row)


# --- attacks --------------------------------------------------------------------------------------------------------


@ACCESSES
def test_a_tampered_signature_is_refused(site, access):
    token = token_of(site, access)
    text = signature(token)
    for place in (0, 5, text.index("."), len(text) - 6):
        changed = "A" if text[place] != "A" else "B"
        assert site.redeem("alice/app", token.replace(text, text[:place] + changed + text[place + 1 :])) == 401
    for other in (text + "A", text[:-1], text + "=", text.partition(".")[0], ".", "x" * 5000):
        assert site.redeem("alice/app", token.replace(text, other)) == 401


@pytest.mark.parametrize("key", [OTHER_KEY, KEY])
def test_a_token_made_elsewhere_is_refused_even_with_the_right_key(site, key):
    site.push("alice/app", "alice")
    forged = URLSafeSerializer(
        key,
        salt="wharfinger.index.token",
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    ).dumps(["nonce", "alice/app", "write"])
    assert site.redeem("alice/app", f'Token signature={forged},repository="alice/app",access=write') == 401


@pytest.mark.parametrize("content", [None, 7, [], ["a"], {"a": 1}, [None, None, None], "abc"])
def test_other_things_signed_with_the_key_are_refused(site, content):
    site.push("alice/app", "alice")
    kwargs = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    forged = URLSafeSerializer(KEY, salt="wharfinger.index.token", signer_kwargs=kwargs).dumps(content)
    assert site.redeem("alice/app", f'Token signature={forged},repository="alice/app",access=write') == 401


def test_a_token_opens_its_own_repository_only(site):
    token = token_of(site, "write")
    site.push("alice/other", "alice")
    assert site.redeem("alice/other", token) == 401
    assert site.redeem("alice/other", token.replace("alice/app", "alice/other")) == 401
    assert auth(site, "alice/other", token).status_code == 403
    answer = site.request("PUT", "/v1/repositories/alice/other/images", auth=token, body=[])
    assert answer.status_code == 401


def test_access_cannot_be_swapped(site):
    token = token_of(site, "read")
    for access in ("write", "delete", "admin"):
        swapped = token.replace("access=read", f"access={access}")
        assert site.redeem("alice/app", swapped) == 401
        assert auth(site, "alice/app", swapped).status_code in (401, 403)
        assert site.request("PUT", "/v1/repositories/alice/app/images", auth=swapped, body=[]).status_code == 401
    assert site.redeem("alice/app", token_of(site, "write").replace("access=write", "access=read")) == 401


def test_a_read_token_writes_nothing(site):
    token = token_of(site, "read")
    for method, path in [("PUT", "/"), ("PUT", "/images"), ("DELETE", "/images"), ("DELETE", "/")]:
        answer = site.request(method, f"/v1/repositories/alice/app{path}", auth=token, body=[{"id": IMAGES[9]}])
        assert answer.status_code == 401
    assert len(site.request("GET", "/v1/repositories/alice/app/images").json) == 2


def test_the_scheme_without_a_token_proves_nothing_to_a_registry(site):
    site.push("alice/app", "alice")
    for header in ("Token ", "Token", "Token Token ", "Token signature=abc", 'Token repository="alice/app"'):
        assert site.redeem("alice/app", header) == 401
        # To a client without a token, which sends it when it asks for one, a public repository is open.
        answer = site.request("GET", "/v1/repositories/alice/app/images", auth=header, ask=True)
        assert (answer.status_code, "X-Docker-Token" in answer.headers) == (200, True)
        assert site.request("PUT", "/v1/repositories/alice/app/", auth=header, ask=True, body=[]).status_code == 401


def test_a_token_cannot_outlive_itself_by_asking(site):
    for access, path, method in [("read", "/images", "GET"), ("write", "/images", "GET"), ("write", "/", "PUT")]:
        token = token_of(site, access)
        body = [{"id": IMAGES[5]}] if method == "PUT" else None
        answer = site.request(method, f"/v1/repositories/alice/app{path}", auth=token, ask=True, body=body)
        assert answer.status_code == 200
        assert authorization(answer) == token
        assert answer.headers["X-Docker-Endpoints"] == "127.0.0.1:5001"


def test_a_token_opens_nothing_else(site):
    token = token_of(site, "write")
    assert site.request("GET", "/v1/users/", auth=token).status_code == 401
    assert site.request("PUT", "/v1/users/alice", auth=token, body={"password": "taken-over"}).status_code == 401
    assert site.request("DELETE", "/v1/repositories/alice/app/", auth=token).status_code == 401
    site.set_private("alice/app")
    found = site.request("GET", "/v1/search", auth=token)
    assert (found.status_code, found.json["num_results"]) == (200, 0)


# --- what ends a token ----------------------------------------------------------------------------------------------


@ACCESSES
def test_a_token_expires(make_site, access):
    site = make_site(token_seconds=3600.0)
    token = token_of(site, access)
    site.clock.move(seconds=3599)
    assert site.redeem("alice/app", token) == 200
    site.clock.move(seconds=1)
    assert site.redeem("alice/app", token) == 401
    assert auth(site, "alice/app", token).status_code == 403


def private_token_of(site, access):
    """A token that opens what not everybody may read."""
    token_of(site, "write")
    site.set_private("alice/app")
    return token_of(site, access)


@ACCESSES
def test_a_token_can_be_revoked(site, access):
    token, others = private_token_of(site, access), site.push("bob/app", "bob")
    assert site.services.operations.revoke_tokens("alice").protocol_tokens > 0
    assert site.redeem("alice/app", token) == 401
    assert site.redeem("bob/app", others) == 200


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_what_anybody_may_read_takes_no_row_and_is_nobodys_to_revoke(site, user):
    site.push("alice/app", "alice")
    before = site.rows("SELECT digest FROM tokens")
    token = site.pull_token("alice/app", user)
    assert site.rows("SELECT digest FROM tokens") == before
    site.services.operations.revoke_tokens(user)
    site.set_active(user, False)
    assert site.redeem("alice/app", token) == 200
    site.set_private("alice/app")
    assert site.redeem("alice/app", token) == 401


@ACCESSES
def test_a_token_ends_with_its_account_and_stays_ended(site, access):
    token = private_token_of(site, access)
    site.set_active("alice", False)
    assert site.redeem("alice/app", token) == 401
    assert auth(site, "alice/app", token).status_code == 403
    site.set_active("alice", True)
    assert site.redeem("alice/app", token) == 401


def test_readers_lose_a_repository_made_private(site):
    """A token of when anybody might read it says nobody's name, not even its owner's."""
    token_of(site, "write")
    before = [site.pull_token("alice/app", user) for user in ("alice", "bob", None)]
    site.set_private("alice/app")
    owner = site.pull_token("alice/app", "alice")
    assert [site.redeem("alice/app", token) for token in (owner, *before)] == [200, 401, 401, 401]
    assert [auth(site, "alice/app", token).status_code for token in (owner, *before)] == [200, 403, 403, 403]
    site.set_private("alice/app", False)
    assert [site.redeem("alice/app", token) for token in (owner, *before)] == [200] * 4


def test_an_administrator_no_longer_one_loses_the_library(site):
    site.user("root", admin=True)
    token = site.push("app", "root")
    assert site.redeem("library/app", token) == site.redeem("app", token) == 200
    with site.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET is_admin = false WHERE name = 'root'")
    assert site.redeem("app", token) == 401


# --- keys -----------------------------------------------------------------------------------------------------------


def test_keys_are_replaced_one_by_one(site):
    first = site.push("alice/app", "alice")
    site.restart(secret_keys=(OTHER_KEY, KEY))
    assert site.redeem("alice/app", first) == 200
    second = site.push("alice/app", "alice")
    site.restart(secret_keys=(OTHER_KEY,))
    assert [site.redeem("alice/app", token) for token in (first, second)] == [401, 200]
    site.restart(secret_keys=(KEY,))
    assert [site.redeem("alice/app", token) for token in (first, second)] == [200, 401]


# --- cleaning -------------------------------------------------------------------------------------------------------


def test_expired_tokens_are_cleaned_and_others_left(make_site):
    site = make_site(token_seconds=100.0)
    site.push("alice/app", "alice")
    site.set_private("alice/app")
    for _ in range(3):
        site.pull_token("alice/app", "alice")
    site.clock.move(seconds=50)
    young = site.pull_token("alice/app", "alice")
    site.clock.move(seconds=51)
    assert site.services.operations.clean() == 4
    assert len(site.rows("SELECT digest FROM tokens")) == 1
    assert site.redeem("alice/app", young) == 200


def test_serving_cleans_now_and_then(make_site, monkeypatch):
    monkeypatch.setattr("index_service.services.token_sweep.SWEEP_EVERY_SECONDS", 0.0)
    site = make_site(token_seconds=100.0)
    site.push("alice/app", "alice")
    site.clock.move(seconds=101)
    site.pull_token("alice/app", "alice")
    assert site.rows("SELECT digest FROM tokens") == []


def test_anonymous_readers_leave_nothing_in_the_database(make_site):
    """However many ask, each token works until it expires, in every process, and no longer than the repository is
    public."""
    site = make_site(token_seconds=100.0)
    site.push("alice/app", "alice")
    before = site.rows("SELECT digest FROM tokens")
    tokens = {site.pull_token("alice/app") for _ in range(10)}
    assert len(tokens) == 10
    assert site.rows("SELECT digest FROM tokens") == before
    site.restart()
    assert {site.redeem("alice/app", token) for token in tokens} == {200}
    token = tokens.pop()
    assert auth(site, "alice/app", token).status_code == 200
    for wrong in (token.replace("alice/app", "alice/other"), token.replace("access=read", "access=write")):
        assert auth(site, "alice/app", wrong).status_code in (401, 403)
    site.set_private("alice/app")
    assert site.redeem("alice/app", token) == 401
    site.set_private("alice/app", is_private=False)
    assert site.redeem("alice/app", token) == 200
    site.clock.move(seconds=101)
    assert site.redeem("alice/app", token) == 401


# --- auth and deletion ----------------------------------------------------------------------------------------------


def test_auth_tells_a_registry_that_a_token_is_good(site):
    for access in ("read", "write"):
        token = token_of(site, access)
        for _ in range(2):
            answer = auth(site, "alice/app", token)
            assert (answer.status_code, answer.json) == (200, "OK")
    assert auth(site, "alice/app", None).status_code == 401
    assert auth(site, "alice/app", basic("alice")).status_code == 401
    for repository in ("alice/app", "b/c"):
        answer = auth(site, "alice/app", f'Token signature=abc,repository="{repository}",access=read')
        assert (answer.status_code, answer.json) == (403, {"error": "Permission denied"})


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_whole_way_of_a_deletion(site, slash):
    path = f"/v1/repositories/alice/app{slash}"
    writer = site.push("alice/app", "alice")
    reader = site.pull_token("alice/app")
    asked = site.request("DELETE", path, user="alice", ask=True)
    assert (asked.status_code, asked.data) == (202, b'""')
    assert asked.headers["X-Docker-Token"].endswith('repository="alice/app",access=delete')
    assert asked.headers["X-Docker-Endpoints"] == "127.0.0.1:5001"
    token = authorization(asked)
    assert site.redeem("alice/app", token) == 200
    assert auth(site, "alice/app", token).status_code == 200
    # It works once; the repository and whatever opened it are gone.
    assert auth(site, "alice/app", token).status_code == 403
    assert [site.redeem("alice/app", each) for each in (token, writer, reader)] == [401, 401, 401]
    assert auth(site, "alice/app", writer).status_code == 404
    assert site.request("GET", "/v1/repositories/alice/app/images").status_code == 404
    assert site.rows("SELECT * FROM tags") == site.rows("SELECT * FROM listed_images") == []
    assert site.request("DELETE", path, user="bob").status_code == 403
    done = site.request("DELETE", path, user="alice")
    assert (done.status_code, done.data, "X-Docker-Token" in done.headers) == (200, b'""', False)
    assert site.request("DELETE", path, user="alice").status_code == 404


def test_a_deletion_asked_twice_before_the_registry_acts_is_asked_twice(site):
    site.push("alice/app", "alice")
    tokens = [authorization(site.request("DELETE", "/v1/repositories/alice/app", user="alice")) for _ in range(2)]
    assert auth(site, "alice/app", tokens[0]).status_code == 200
    assert auth(site, "alice/app", tokens[1]).status_code == 404
    assert site.request("DELETE", "/v1/repositories/alice/app", user="alice").status_code == 200


def test_a_repository_pushed_again_after_its_deletion_is_new(site):
    old = token_of(site, "delete")
    auth(site, "alice/app", old)
    site.push("alice/app", "alice", images=[IMAGES[7]])
    assert site.request("GET", "/v1/repositories/alice/app/images").json == [{"id": IMAGES[7]}]
    assert auth(site, "alice/app", old).status_code == 403
    assert site.request("DELETE", "/v1/repositories/alice/app", user="alice").status_code == 202
    assert site.request("GET", "/v1/repositories/alice/app/images").status_code == 200


def test_a_delete_token_is_not_good_for_what_takes_the_name(site):
    app, away, other = (RepositoryName("alice", name) for name in ("app", "away", "other"))
    token, rename = token_of(site, "delete"), site.services.operations.rename
    site.push("alice/other", "alice", images=[IMAGES[7]])
    rename(app, away)
    rename(other, app)
    assert (auth(site, "alice/app", token).status_code, site.redeem("alice/app", token)) == (403, 401)
    path = "/v1/repositories/alice/app/tags/latest"
    assert site.request("DELETE", path, auth=token).status_code == 401
    assert site.request("GET", "/v1/repositories/alice/app/images").json == [{"id": IMAGES[7]}]
    assert site.rows("SELECT count(*) FROM jobs WHERE kind = 'move'") == [(2,)]
    rename(app, other)
    rename(away, app)
    assert auth(site, "alice/app", token).status_code == 200
    assert site.rows("SELECT name FROM repositories") == [("other",)]


def test_a_delete_token_is_not_good_for_what_is_pushed_after_the_deletion(site):
    used, held = token_of(site, "delete"), token_of(site, "delete")
    assert auth(site, "alice/app", used).status_code == 200
    site.clock.move(seconds=1)
    site.push("alice/app", "alice")
    assert auth(site, "alice/app", held).status_code == 403
    assert site.request("GET", "/v1/repositories/alice/app/images").status_code == 200


def test_one_delete_token_used_at_once_deletes_once(site):
    token = token_of(site, "delete")
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: auth(site, "alice/app", token).status_code, range(16)))
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 403, 404}


def test_a_delete_token_may_tell_of_a_tag_that_is_gone(site):
    token = token_of(site, "delete")
    assert site.request("DELETE", "/v1/repositories/alice/app/tags/latest", auth=token).status_code == 200
    assert site.rows("SELECT * FROM tags") == []


@pytest.mark.parametrize("user", ["alice", None])
def test_the_statements_of_a_pull_are_built_once(site, user):
    """To build them anew took a quarter of the time of a pull."""
    site.push("alice/app", "alice")
    site.pull_token("alice/app", user)
    runs = []
    for _ in range(2):
        statements = []

        def note(_connection, statement, *_, statements=statements):
            statements.append(statement)

        event.listen(site.engine, "before_execute", note)
        token = site.pull_token("alice/app", user)
        site.request("GET", "/v1/repositories/alice/app/images", auth=token)
        event.remove(site.engine, "before_execute", note)
        runs.append(statements)
    assert len(runs[0]) == len(runs[1]) > 2
    built_again = [str(one) for one, other in zip(*runs, strict=True) if one is not other]
    assert built_again == []
