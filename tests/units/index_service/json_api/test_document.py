"""The OpenAPI document: it describes the whole API, nothing else, and tells the truth."""

from __future__ import annotations

import re

import pytest
from jsonschema import Draft202012Validator

from tests.units.index_service.json_api.world import API, Session, check, closed
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import IMAGES

EXAMPLES = {
    "repository": "alice/app",
    "image_id": IMAGES[0],
    "name": "alice",
    "namespace": "alice",
    "person": "alice",
    "team": "crew",
    "comment": "2",
    "token": "1",
    "session": "none",
    "protocol_token": "none",
}


@pytest.fixture
def document(site):
    return site.request("GET", f"{API}/openapi.json").get_json()


def described(document):
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def rules(app):
    """The API's routes, as OpenAPI writes them."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(API):
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def test_every_route_is_described_and_nothing_else(site, document):
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
    root, olga = (Reader(world.site, name) for name in ("root", "olga"))
    world.token("alice")
    for path, operation in paths_to_get(document):
        name = "acme" if "organisations" in path else "alice"
        filled = re.sub(r"{(\w+)}", lambda found, name=name: {**EXAMPLES, "name": name}[found[1]], path)
        reader = root if "/admin" in path else olga if name == "acme" else session.reader
        answer = reader.get(filled)
        assert answer.status_code == 200, (path, answer.data)
        check(document, operation, answer)
        assert answer.get_json().get("items") != [], f"{path} has nothing to show here"


def test_what_strangers_are_told_is_what_the_document_says_too(world):
    document = closed(world.ask("GET", "/openapi.json").get_json())
    stranger = Reader(world.site)
    for path, operation in paths_to_get(document):
        filled = re.sub(r"{(\w+)}", lambda found: EXAMPLES[found[1]], path)
        answer = stranger.get(filled)
        assert answer.status_code in (200, 400, 401, 403, 404), path
        check(document, operation, answer)


VERBS = "Add Count Create Delete Edit End Flag Get Hide List Make Open Pin Remove Rename Restore Revoke Search Set Star"
DIALECT = re.compile(r"Told|Shown|Row$|Card|Cell|Stretch|OfAll|AllOf|Body$|Page$")


def operations(document):
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_a_summary_says_what_to_do_in_the_imperative(document):
    assert {operation["summary"].split()[0] for operation in operations(document)} <= {
        *VERBS.split(),
        "Unstar",
        "Write",
    }


def test_schemas_have_the_names_of_an_api(document):
    schemas = document["components"]["schemas"]
    assert {"Profile", "Organisation", "AccountStatus", "ModerationDecision", "Page_TagEvent_"} <= schemas.keys()
    for name, schema in schemas.items():
        assert not DIALECT.search(name), name
        assert schema["title"] == name.replace("_", "[", 1).replace("_", "]")
        assert schema["description"], name


def test_only_the_schemas_of_bodies_refuse_other_fields(document):
    bodies = [operation["requestBody"] for operation in operations(document) if "requestBody" in operation]
    references = {body["content"]["application/json"]["schema"]["$ref"] for body in bodies}
    closed_ones = {f"#/components/schemas/{name}" for name, schema in schemas_of(document) if is_closed(schema)}
    assert closed_ones == references


def schemas_of(document):
    return document["components"]["schemas"].items()


def is_closed(schema):
    return schema.get("additionalProperties") is False


def test_an_answer_leaves_no_field_out(document):
    for name, schema in schemas_of(document):
        if not is_closed(schema):
            assert schema["required"] == list(schema["properties"]), name
