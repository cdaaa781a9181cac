"""The OpenAPI document: it describes the whole API and the pages' twins, nothing else, and tells the truth."""

from __future__ import annotations

import re

import pytest
from jsonschema import Draft202012Validator

from index_service.web.showing import TWIN
from tests.units.index_service.json_api.world import API, Session, check, closed
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import IMAGES

EXAMPLES = {
    "repository": "alice/app",
    "image_id": IMAGES[0],
    "name": "alice",
    "namespace": "alice",
    "person": "rita",
    "team": "crew",
    "comment": "2",
    "number": "2",
    "token": "1",
    "session": "none",
    "link": "none",
}
QUERIES = {"/r/{repository}/@tags/delete.json": "?tag=old"}


@pytest.fixture
def document(site):
    return site.request("GET", f"{API}/openapi.json").get_json()


def described(document):
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def rules(app):
    """The API's routes and the twins, as OpenAPI writes them."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(API) or rule.endpoint.endswith(TWIN):
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def test_every_route_and_every_twin_is_described_and_nothing_else(site, document):
    assert described(document) == set(rules(site.app))


def test_it_is_well_formed(document):
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, item in document["paths"].items():
        for operation in item.values():
            told = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert told == set(re.findall(r"{(\w+)}", path)), path
            assert operation["summary"]
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', re.sub(r"'", '"', str(document))):
        found = document
        for part in reference.split("/"):
            found = found[part]


def test_what_changes_something_takes_no_session_without_its_token(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for way in operation["security"]:
                assert method == "get" or way != {"session": []}, path
                assert method == "get" or way, path


def paths_to_get(document):
    for path, item in document["paths"].items():
        if "get" in item:
            yield path, item["get"]


def test_every_answer_is_what_the_document_says(world):
    document = closed(world.ask("GET", "/openapi.json").get_json())
    session = Session(world, "alice")
    root, olga, rita = (Reader(world.site, name) for name in ("root", "olga", "rita"))
    world.token("alice")
    empty = []
    for path, operation in paths_to_get(document):
        name = "acme" if "organisations" in path or "@members" in path or "@teams" in path else "alice"
        name = "acme" if path == "/u/{name}/@settings.json" else name
        filled = re.sub(r"{(\w+)}", lambda found, name=name: {**EXAMPLES, "name": name}[found[1]], path)
        reader = root if "/admin" in path else olga if name == "acme" else session.reader
        reader = rita if "@comments/{number}/delete" in path else reader
        answer = reader.get(filled + QUERIES.get(path, ""))
        expected = {404} if "{link}" in path else {303} if path in ("/sign-in.json", "/sign-up.json") else {200}
        assert answer.status_code in expected, (path, answer.data)
        if answer.status_code == 200:
            check(document, operation, answer)
            empty += [path] if not answer.get_json() or answer.get_json().get("items") == [] else []
    # Forms alone; everything else has something to show here.
    assert empty == ["/account/password.json", "/organisations/new.json"]


def test_what_strangers_are_told_is_what_the_document_says_too(world):
    document = closed(world.ask("GET", "/openapi.json").get_json())
    stranger = Reader(world.site)
    for path, operation in paths_to_get(document):
        filled = re.sub(r"{(\w+)}", lambda found: EXAMPLES[found[1]], path)
        answer = stranger.get(filled)
        assert answer.status_code in (200, 400, 401, 403, 404), path
        check(document, operation, answer)


def test_every_page_names_its_twin_which_is_described(document, site):
    page = Reader(site).open("/sign-up")
    (link,) = page.all("link", rel="alternate", type="application/json")
    assert link["href"] in document["paths"]
