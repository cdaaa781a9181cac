"""The client of another registry, against a server whose every answer is chosen: to whom it sends a password or a
token, what it makes of answers that are none, and where it keeps logins."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import Invalid
from registry_service.oci.logins import Login, login_at
from registry_service.oci.remote_client import RegistryAddress, RemoteClient, RemoteFailed, RemoteRefused
from registry_service.storage import retrying
from tests.units.registry_service.mirror_source import Heard, Said, ScriptedSource, serving

LOGIN = Login("me", "my-password")
SCOPES = ("repository:acme/app:pull,push",)
BLOB = "/v2/acme/app/blobs/x"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "BACKOFF_SECONDS", 0.001)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def registry() -> Iterator[ScriptedSource]:
    with serving() as server:
        server.say("/v2/", Said(b"{}"))
        yield server


@pytest.fixture
def other() -> Iterator[ScriptedSource]:
    with serving() as server:
        yield server


def client_of(registry: ScriptedSource, login: Login | None = LOGIN) -> RemoteClient:
    client = RemoteClient(RegistryAddress.parse(registry.url, may_be_plain=False), login, may_be_plain=False)
    client.ping()
    return client


def demanding(challenge: str) -> Said:
    return Said(b"{}", [("WWW-Authenticate", challenge)], status=401)


def wants_basic(registry: ScriptedSource) -> None:
    def answer(heard: Heard) -> Said:
        return Said(b"{}") if heard.headers.get("authorization") == LOGIN.basic else demanding('Basic realm="x"')

    registry.answers["/v2/"] = registry.answers[BLOB] = answer


def wants_token(registry: ScriptedSource, realm: str) -> None:
    def answer(heard: Heard) -> Said:
        is_known = heard.headers.get("authorization") == "Bearer token"
        return Said(b"{}") if is_known else demanding(f'Bearer realm="{realm}",service="x"')

    registry.answers["/v2/"] = registry.answers[BLOB] = answer


def test_password_goes_to_who_demands_it(registry: ScriptedSource) -> None:
    client_of(registry)
    assert all("authorization" not in heard.headers for heard in registry.heard)
    wants_basic(registry)
    client = client_of(registry)
    assert client.ask("GET", registry.url + BLOB, SCOPES).status == 200
    assert registry.heard_of(BLOB)[0]["authorization"] == LOGIN.basic


def test_password_that_is_refused_is_sent_once(registry: ScriptedSource) -> None:
    registry.say("/v2/", demanding('Basic realm="x"'))
    with pytest.raises(RemoteRefused, match="answers 401 where /v2/ should be"):
        client_of(registry)
    assert ["authorization" in heard.headers for heard in registry.heard] == [False, True]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_neither_goes_where_a_redirect_leads(registry: ScriptedSource, other: ScriptedSource, method: str) -> None:
    wants_basic(registry)
    client = client_of(registry)
    registry.say(BLOB, Said(b"", [("Location", f"{other.url}/elsewhere")], status=307))
    other.say("/elsewhere", Said(b"there"))
    answer = client.ask(method, registry.url + BLOB, SCOPES)
    if method == "GET":
        assert answer.body == b"there"
        assert "authorization" not in other.heard[0].headers
    else:
        assert (answer.status, other.heard) == (307, [])
    assert client.once("GET", f"{other.url}/elsewhere", SCOPES).status == 200
    assert "authorization" not in other.heard[-1].headers


@pytest.mark.parametrize("location", ["http://192.0.2.1/", "ftp://127.0.0.1/", "file:///etc/passwd"])
def test_no_redirect_leads_to_what_is_not_https(registry: ScriptedSource, location: str) -> None:
    registry.say(BLOB, Said(b"", [("Location", location)], status=302))
    with pytest.raises(RemoteRefused, match="leads to an address that is not https"):
        client_of(registry).ask("GET", registry.url + BLOB, SCOPES)


def test_redirects_end(registry: ScriptedSource) -> None:
    registry.say(BLOB, Said(b"", [("Location", BLOB)], status=302))
    with pytest.raises(RemoteRefused, match="without an end"):
        client_of(registry).ask("GET", registry.url + BLOB, SCOPES)


def test_tokens_are_kept_and_made_anew(registry: ScriptedSource, other: ScriptedSource) -> None:
    wants_token(registry, f"{other.url}/token")
    path = "/token?service=x&scope=repository%3Aacme%2Fapp%3Apull%2Cpush"
    other.say("/token?service=x", Said(b'{"token": "token"}'))
    other.say(path, Said(b'{"access_token": "old", "expires_in": 600}'), Said(b'{"token": "token", "expires_in": 600}'))
    client = client_of(registry)
    for _ in range(3):
        assert client.ask("GET", registry.url + BLOB, SCOPES).status == 200
    assert [heard.path for heard in other.heard] == ["/token?service=x", path, path]
    assert {heard.headers["authorization"] for heard in other.heard} == {LOGIN.basic}


def test_password_is_not_taken_along_from_where_tokens_are_issued(
    registry: ScriptedSource, other: ScriptedSource
) -> None:
    wants_token(registry, f"{registry.url}/token")
    registry.say("/token?service=x", Said(b"", [("Location", f"{other.url}/token")], status=307))
    with pytest.raises(RemoteRefused, match="answers 307 where it issues tokens"):
        client_of(registry)
    assert other.heard == []


@pytest.mark.parametrize("realm", ["http://192.0.2.1/token", "", "token"])
def test_no_token_from_what_is_not_https(registry: ScriptedSource, realm: str) -> None:
    wants_token(registry, realm)
    with pytest.raises(RemoteRefused, match="not https"):
        client_of(registry)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\r\\nX: y"}', b"[" * 100_000])
def test_what_is_no_token(registry: ScriptedSource, body: bytes) -> None:
    wants_token(registry, f"{registry.url}/token")
    registry.say("/token?service=x", Said(body))
    with pytest.raises(RemoteRefused, match="issues no token") as refused:
        client_of(registry)
    assert refused.value.__cause__ is None


def test_who_demands_what_nobody_has(registry: ScriptedSource) -> None:
    registry.say("/v2/", demanding("Negotiate"))
    with pytest.raises(RemoteRefused, match="of a kind that is not known"):
        client_of(registry)
    registry.say("/v2/", demanding("Basic realm=x"))
    with pytest.raises(RemoteRefused, match="demands a login"):
        client_of(registry, None)


def test_failures_are_told_without_what_writes_elsewhere_on_a_terminal(registry: ScriptedSource) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no\x1b[2J\nway\u202e"}]}).encode()
    registry.say("/v2/", Said(body, status=403))
    with pytest.raises(RemoteRefused) as refused:
        client_of(registry)
    assert refused.value.message == f"{registry.netloc} answers 403 (DENIED: no [2J way ) where /v2/ should be"


def test_what_fails_is_asked_again(registry: ScriptedSource) -> None:
    registry.say("/v2/", Said(status=503), Said(b"{}", sent=1), Said(b"{}"))
    client_of(registry)
    assert len(registry.heard) == 3


def test_endless_answer(registry: ScriptedSource) -> None:
    registry.say("/v2/", Said(bytes(4 * 2**20 + 1)))
    with pytest.raises(RemoteFailed, match="does not answer"):
        client_of(registry)


def test_registry_that_is_gone_is_asked_no_more(registry: ScriptedSource) -> None:
    client = client_of(registry)
    registry.say("/v2/", Said(status=502))
    registry.say(BLOB, Said(status=502))
    for _ in range(3):
        with pytest.raises(RemoteFailed, match="answers 502"):
            client.ask("GET", registry.url + BLOB, SCOPES)
    assert len(registry.heard_of(BLOB)) == 5


def test_one_request_that_fails_does_not_end_it(registry: ScriptedSource) -> None:
    client = client_of(registry)
    registry.say(BLOB, Said(status=500))
    for _ in range(2):
        with pytest.raises(RemoteFailed, match="answers 500"):
            client.ask("GET", registry.url + BLOB, SCOPES)
    assert len(registry.heard_of(BLOB)) == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://me:secret@new.example", "Leave user and password out"),
        ("http://new.example", "unless you give --insecure"),
        ("http://127.0.0.1.new.example", "unless you give --insecure"),
        ("https:///name", "Give the registry as"),
        ("https://new.example/?x", "Give the registry as"),
    ],
)
def test_addresses_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        RegistryAddress.parse(text, may_be_plain=False)
    assert "secret" not in refused.value.message


def test_addresses() -> None:
    assert RegistryAddress.parse("https://new.example:1/a/b/", may_be_plain=False).prefix == "a/b"
    for text in ("http://127.8.0.1:5000", "http://localhost", "http://[::1]:5000"):
        assert str(RegistryAddress.parse(text, may_be_plain=False)) == text
    assert RegistryAddress.parse("http://new.example", may_be_plain=True).scheme == "http"


def kept(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_logins_are_found(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    file = tmp_path / ".docker/config.json"
    logins = {"new.example:5000": kept("me", "a:b"), "https://old.example/v1/": kept("old", "x"), "helped.example": {}}
    file.write_text(json.dumps({"auths": logins}))
    home = {"HOME": str(tmp_path)}
    for environ in (home, {"DOCKER_CONFIG": str(file.parent)}, {"REGISTRY_AUTH_FILE": str(file), "HOME": "/nowhere"}):
        assert login_at("new.example:5000", environ) == Login("me", "a:b")
        assert login_at("old.example", environ) == Login("old", "x")
        assert login_at("helped.example", environ) is None
        assert login_at("new.example", environ) is None
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers/auth.json").write_text(json.dumps({"auths": {"new.example": kept("skopeo", "y")}}))
    for host, user in (("new.example", "skopeo"), ("old.example", "old")):
        found = login_at(host, {**home, "XDG_RUNTIME_DIR": str(tmp_path)})
        assert found is not None
        assert found.user == user
    both = {**home, "WHARFINGER_EXPORT_USER": "you", "WHARFINGER_EXPORT_PASSWORD": "word"}
    assert login_at("new.example:5000", both) == Login("you", "word")
    assert "word" not in repr(login_at("new.example:5000", both))
    assert login_at("new.example", {"HOME": "/nowhere"}) is None


@pytest.mark.parametrize("text", ["", "[]", '{"auths": []}', '{"auths": {"h": {"auth": "?"}}}', '{"auths": {"h": 7}}'])
def test_broken_file_of_logins(tmp_path: Path, text: str) -> None:
    file = tmp_path / "auth.json"
    file.write_text(text)
    with pytest.raises(Invalid, match="is no file of logins"):
        login_at("h", {"REGISTRY_AUTH_FILE": str(file)})
    with pytest.raises(Invalid, match="cannot be read"):
        login_at("h", {"REGISTRY_AUTH_FILE": str(tmp_path / "absent")})
    with pytest.raises(Invalid, match="Set both"):
        login_at("h", {"WHARFINGER_EXPORT_USER": "me"})
