"""Methods, paths, bodies and headers mixed at random: no answer is a surprise to the service.

Every one is JSON, but for the index's pages, which stand beside the protocol.
"""

from __future__ import annotations

import random

import pytest

from tests.attacks.test_tokens import anonymous_token, pushed
from tests.clients.wire import Header, Target, ask
from tests.servers.setups import SetUp, SetUps

MANY = 250

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "PROPFIND")
IDS = ("{id}", "0" * 16, "..", "%00", "x" * 300, "%ff%fe", "%0a", "%ed%a0%80", "%c3%28")
NAMES: tuple[str, ...] = (
    "{name}",
    "alice/new",
    "x",
    "library/x",
    "a/b/c/d",
    "images",
    "alice/tags",
    "%2e%2e/x",
    "a%2fb",
    "alice//x",
)
NAMES += ("A/B", "alice/" + "a" * 250, "%ed%a0%80", "alice/" + "a/" * 100 + "b", "alice/a%25b", "alice/%0d%0aX:y")
PARTS: tuple[str, ...] = (
    "",
    "/",
    "/images",
    "/auth",
    "/tags",
    "/json",
    "/properties",
    "/tags/latest",
    "/tags/%ed%a0%80",
    "/tags/.%2f",
)
PARTS += ("/tags/" + "t" * 255, "/tags/" + "%e2%82%ac" * 85, "/tags/a+b/json", "/layer/{id}/access")
PATHS = (
    *(f"/v1/images/{one}/{part}" for one in IDS for part in ("json", "layer", "ancestry", "checksum", "files", "diff")),
    *(f"/v1/repositories/{name}{part}" for name in NAMES for part in PARTS),
    *("/v1/users", "/v1/users/alice", "/v1/users/%ed%a0%80", "/", "/_status", "/v2/x", "/v1//users", "//evil/v1/_ping"),
    *(f"/v2/{name}/{part}" for name in NAMES for part in ("manifests/latest", "manifests/sha256:x", "tags/list?n=%ff")),
    *("/v2", "/v2/", "/v2/token?scope=repository:%ff:pull&scope=%00", "/v2/_catalog?n=%C2%B2&last=%ff"),
    *("/v2/{name}/blobs/sha256:" + "0" * 64, "/v2/{name}/tags/list?token=%ff&last=%ed%a0%80", "/v2/x/blobs/%ff"),
    *(f"/v1/search?{query}" for query in ("q=%ff&n=-1", "q=%00", "page=99999999999", "n=%C2%B2", "q=" + "%25" * 200)),
)
API_PARTS = ("", "/@tags", "/@comments", "/@graph", "/@star")
API = (
    *(f"images/{one}{part}" for one in IDS for part in ("", "/ancestry", "/descendants", "/annotations")),
    *(f"repositories/{name}{part}" for name in NAMES for part in API_PARTS),
    *("", "account", "account/tokens/9" + "9" * 17, "openapi.json", "people/%ed%a0%80", "admin", "graph?q=%ff"),
    *("search?q=%00&page=%C2%B2", "repositories?namespace=%ed%a0%80&sort=x"),
)
PATHS_OF_INDEX = (*PATHS, *(f"/api/v1/{path}" for path in API))
DEEP = "[" * 950 + "]" * 950
BODIES: tuple[str, ...] = (
    "",
    "[]",
    "{}",
    "null",
    '"x"',
    DEEP,
    f'[{{"id": {DEEP}}}]',
    f'{{"username": {DEEP}}}',
    "9" * 5000,
    "[1e999]",
)
BODIES += ('{"username": "bobby", "password": "\\ud800abcdefgh", "email": "b@x"}', '{"password": "\\ud800"}', '"{id}"')
BODIES += ('[{"id": "{id}", "Tag": "\\ud800"}]', '[{"id": "{id}", "checksum": "\\u0000"}]', '{"access": ["x"]}')
BODIES += ('{"id": "{id}", "parent": "\\ud800"}', '[{"id": null}]', "[null]", "\xff")
AUTHORIZATIONS = ("{token}", "Token ", "Basic Og==", "Basic //46AA==", "Basic x", "Bearer x", "Token \xe9=\xe9," * 90)
HEADERS: tuple[Header, ...] = (
    *(("Cookie", value) for value in ("grant=a.b.c; grant=x", "grant=\xff\xfe", 'grant="\\377\\000"', ";;=;a")),
    *(("Range", value) for value in ("bytes=0-", "bytes=5-2", "x=1")),
    *(("X-Docker-Checksum", value) for value in ("x", "tarsum+sha256:" + "0" * 64, "tarsum.v1+sha512:" + "0" * 128)),
    *(("X-Docker-Checksum-Payload", value) for value in ("\xe9", "," * 100, "sha256:" + "0" * 64)),
    *(("User-Agent", value) for value in ("docker/0.9.9999999 go/\xff", "docker/99999.1")),
    *(("Content-Type", value) for value in ("multipart/form-data; boundary=", "application/x-www-form-urlencoded")),
    *(("X-Docker-Token", "\xe9"), ("X-Forwarded-Host", "evil"), ("Content-Encoding", "gzip"), ("SCRIPT_NAME", "/x")),
    *(("If-None-Match", 'W/"x'), ("If-Modified-Since", "x"), ("Upgrade", "h2c"), ("X-HTTP-Method-Override", "DELETE")),
)
HOSTS = ("x", "", "a b", "[::1", "x:99999999", "\xe9", "%00")


@pytest.mark.parametrize("service", ["index", "registry", "standalone"])
def test_nothing_is_a_surprise(setups: SetUps, split: SetUp, service: str) -> None:
    name, chain = pushed(split)
    target: Target = setups["standalone-http"].registry if service == "standalone" else getattr(split, service)
    known = {"{id}": chain[1].id, "{name}": name, "{token}": f"Token {anonymous_token(split, name)}"}
    dice, paths = random.Random(service), PATHS_OF_INDEX if service == "index" else PATHS
    for _ in range(MANY):
        method, path, body, authorization = map(dice.choice, (METHODS, paths, BODIES, AUTHORIZATIONS))
        for placeholder, value in known.items():
            path, body, authorization = (text.replace(placeholder, value) for text in (path, body, authorization))
        raw = body.encode("latin-1")
        headers = [("Host", dice.choice(HOSTS)), ("Authorization", authorization), *dice.sample(HEADERS, 2)]
        headers += [("Content-Length", str(len(raw))), ("Connection", "close")]
        answer = ask(target, f"{method} {path}", headers, raw)
        assert answer.status < 500, (method, path, body[:80], headers, answer)
        if service == "index" and not path.startswith(("/v1", "/v2", "/_", "/api/v1/")):
            continue
        assert "html" not in (answer.header("Content-Type") or ""), (method, path)
        if answer.status >= 400 and method != "HEAD" and answer.body != b'"Username or email already exists"':
            assert answer.status == 416 or answer.error(), (method, path)
