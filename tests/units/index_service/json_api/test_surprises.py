"""What the document describes, asked with names, queries and bodies drawn at random: no answer is a surprise."""

from __future__ import annotations

import json
import random
import re

from tests.units.index_service.json_api.test_document import EXAMPLES
from tests.units.index_service.json_api.world import check

MANY = 600

NAMES: tuple[str, ...] = (
    "%00",
    "%ed%a0%80",
    "%ff",
    "..",
    "%2e%2e",
    "a" * 300,
    "A",
    "é",
    "-1",
    "9" * 18,
    "9" * 19,
    "@x",
)
NAMES += ("a%2fb", "%0d%0a", "x.json", "library", "acme", "a/" * 200 + "b", "alice/" + "a" * 255, "alice/%20", "0" * 16)
PAGES = ("%ff", "99999999999", "0", "100000", "%C2%B2", "-1")
TEXTS = (
    "%00",
    "%ed%a0%80",
    "%ff",
    "%25" * 80,
    "((((",
    "%22%27;--",
    "a%20" * 120,
    "..",
    "n" * 300,
    "0" * 63,
    "%E4%B8%AD",
)
DAYS = ("x", "2015-99-99", "0001-01-01", "9999-12-31", "%00")
QUERY = (
    *(f"page={text}" for text in PAGES),
    *(f"{name}={text}" for name in ("q", "tag", "sort", "namespace", "starred", "state", "actor") for text in TEXTS),
    *(f"{name}={text}" for name in ("since", "until") for text in DAYS),
)
VALUES: tuple[object, ...] = (
    "",
    "\ud800",
    "\x00",
    "x\x00y",
    "x" * 100_000,
    "\u202e<script>",
    "..",
    "@",
    "*" * 300,
    "((((",
)
VALUES += ("2015-13-45T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2099-01-01T00:00:00")
VALUES += (10**30, -1, 0, 1e300, True, None, [], {}, ["old"], ["\x00"], ["\ud800"], [None], [[]], ["x"] * 5000)
VALUES += ("latest", "bob", "((((")
SOUND = {"name": "good", "body": "so", "person": "rita", "role": "read", "reason": "so", "tags": ["old"], "hide": True}
CALLERS = ("alice", "olga", "root", "rita", None)


def test_no_answer_is_a_surprise(world):
    document, dice = world.ask("GET", "/openapi.json").get_json(), random.Random("the API")
    described = [(method, path) for path, item in document["paths"].items() for method in item]
    for _ in range(MANY):
        method, path = dice.choice(described)
        operation = document["paths"][path][method]
        address = f"{filled(path, dice)}?{'&'.join(dice.sample(QUERY, 2))}"
        raw = body(document, operation, dice)
        answer = world.site.request(method.upper(), address, user=dice.choice(CALLERS), raw=raw)
        assert answer.status_code < 500, (method, address, raw)
        if answer.is_json and str(answer.status_code) in operation["responses"]:
            check(document, operation, answer)
        assert answer.is_json or answer.status_code in (204, 303, 404), (method, address)


def filled(path, dice):
    """A path with names in it, some of them sound."""
    return re.sub(r"{(\w+)}", lambda found: EXAMPLES[found[1]] if dice.random() < 0.6 else dice.choice(NAMES), path)


def body(document, operation, dice):
    """What the route wants, with one thing in it that is odd."""
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    shape = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    wanted = {name: SOUND.get(name, dice.choice(VALUES)) for name in shape.get("required", ())}
    return json.dumps({**wanted, dice.choice([*shape["properties"]]): dice.choice(VALUES)})
