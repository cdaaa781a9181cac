"""Dataclasses as schemas, as JSON, and as what a body may be: the three say the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Generic, Literal, TypeVar, get_type_hints

import pytest
from jsonschema import Draft202012Validator, ValidationError
from msgspec import UNSET, UnsetType

from common.errors import Invalid
from common.names import ImageId, RepositoryName, Tag
from index_service.json_api import bodies, schemas
from index_service.json_api.bodies import Names, Timestamp
from index_service.json_api.schemas import Schemas, described
from index_service.json_api.views import ROUTES

Row = TypeVar("Row")


@dataclass(frozen=True)
class Leaf:
    """A leaf,
    which is green."""

    name: str
    leaves: tuple[Leaf, ...]

    @property
    def unseen(self) -> str:
        return "never told"


@dataclass(frozen=True)
class Tree(Generic[Row]):
    """A tree."""

    rows: tuple[Row, ...]
    image: str
    role: str | None
    at: datetime
    day: date
    pair: tuple[str, int]
    pairs: tuple[tuple[str, str], ...]
    details: Mapping[str, Any]
    share: float
    kind: Literal["oak", "fir"]
    leaf: Leaf | None


TREE = Tree(
    (Leaf("a", (Leaf("b", ()),)),),
    ImageId("0" * 64),
    None,
    datetime(2015, 6, 8, tzinfo=UTC),
    date(2015, 6, 8),
    ("x", 1),
    (("k", "v"),),
    {"any": [1, None]},
    0.5,
    "oak",
    None,
)


def plain(answer):
    return json.loads(schemas.encode(answer))


def schema(annotation, *, body=False):
    found = Schemas([], [annotation]) if body else Schemas([annotation], [])
    return {**found.of(annotation), "components": {"schemas": found.components}}, found.components


def test_what_is_told_fits_its_schema():
    whole, components = schema(Tree[Leaf])
    assert sorted(components) == ["Leaf", "Tree_Leaf_"]
    Draft202012Validator.check_schema(whole)
    Draft202012Validator(whole).validate(plain(TREE))
    assert components["Leaf"]["description"] == "A leaf, which is green."


def test_moments_are_told_in_utc_and_names_as_texts():
    assert plain(datetime(2015, 6, 8, 12, tzinfo=UTC)) == "2015-06-08T12:00:00Z"
    assert plain([date(2015, 6, 8), ImageId("0" * 64), Tag("1.0"), "é"]) == ["2015-06-08", "0" * 64, "1.0", "é"]


def test_what_is_no_resource_is_never_told_by_chance():
    with pytest.raises(NotImplementedError):
        schemas.encode([object()])


def test_a_docstring_describes_without_the_failures_it_names():
    assert described(lambda: None) == ""
    assert described(RepositoryName.parse) == "Parse a name from a URL or a token."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", [{"name": 5, "leaves": []}]),
        ("rows", [{"leaves": []}]),
        ("image", None),
        ("role", 2),
        ("kind", "elm"),
        ("pair", ["x", "y"]),
        ("pair", ["x"]),
        ("details", []),
        ("share", "half"),
        ("leaf", {}),
    ],
)
def test_what_is_not_as_told_does_not_fit(name, value):
    with pytest.raises(ValidationError):
        Draft202012Validator(schema(Tree[Leaf])[0]).validate({**plain(TREE), name: value})


def test_every_field_is_told_and_so_required():
    whole, components = schema(Tree[Leaf])
    assert components["Tree_Leaf_"]["required"] == list(components["Tree_Leaf_"]["properties"])
    for name in plain(TREE):
        with pytest.raises(ValidationError):
            Draft202012Validator(whole).validate({key: value for key, value in plain(TREE).items() if key != name})


def test_two_of_one_name_are_told_apart():
    other = dataclass(frozen=True)(
        type("Leaf", (), {"__doc__": "Gold.", "__annotations__": {"x": int}, "__module__": "gold"})
    )
    found = Schemas([Leaf, other], [])
    assert found.of(Leaf) != found.of(other)
    assert len(found.components) == 2


def shapes():
    return {route.body for routes in ROUTES for route in routes.described if route.body is not None}


def test_bodies_are_flat():
    """Unknown fields are looked for in the body itself; an object within it could hide some."""
    for shape in shapes():
        for hint in get_type_hints(shape, include_extras=True).values():
            assert not any(map(dataclasses.is_dataclass, (hint, *getattr(hint, "__args__", ())))), shape


@dataclass(frozen=True)
class Body:
    """A body."""

    name: str
    tags: Names = ()
    number: int = 1
    is_on: bool = False
    access: Literal["read", "write"] = "read"
    until: Timestamp | None = None
    about: str | UnsetType = UNSET


GOOD = [
    {"name": "x"},
    {"name": "", "tags": [], "number": -5, "is_on": True, "access": "write", "until": None, "about": ""},
    {"name": "é", "tags": ["a", "b"], "until": "2015-06-08T12:00:00Z"},
]
BAD: list[Any] = [
    {},
    {"name": None},
    {"name": 5},
    {"name": "x", "other": 1},
    {"name": "x", "tags": "a"},
    {"name": "x", "tags": [1]},
    {"name": "x", "number": "1"},
    {"name": "x", "number": True},
    {"name": "x", "is_on": 1},
    {"name": "x", "access": "admin"},
    {"name": "x", "until": 5},
    {"name": "x", "tags": ["a"] * (bodies.MAX_ENTRIES + 1)},
    {"name": "x", "about": None},
    [],
    "x",
    None,
]


def fits(data):
    return Draft202012Validator(schema(Body, body=True)[0]).is_valid(data)


def is_taken(data):
    try:
        bodies.parse(Body, data)
    except Invalid:
        return False
    return True


def test_a_body_is_taken_where_it_fits_the_schema():
    assert [fits(data) for data in GOOD + BAD] == [True] * len(GOOD) + [False] * len(BAD)
    assert [is_taken(data) for data in GOOD + BAD] == [True] * len(GOOD) + [False] * len(BAD)


def test_what_is_left_out_is_absent_and_not_nothing():
    assert bodies.parse(Body, {"name": "x"}).about is UNSET
    assert bodies.parse(Body, {"name": "x", "about": ""}).about == ""
    told = {"name": "x", "until": "2015-06-08T14:00:00+02:00"}
    assert bodies.parse(Body, told).until == datetime(2015, 6, 8, 12, tzinfo=UTC)
    assert (bodies.sent(UNSET), bodies.sent(""), bodies.sent(False)) == (None, "", False)


def test_a_refusal_names_few_fields_and_shortly():
    with pytest.raises(Invalid) as refused:
        bodies.parse(Body, {"x" * 1000 + str(number): 1 for number in range(1000)})
    assert len(refused.value.message) < 500


REFUSED = [
    ({"name": "x", "access": "admin"}, "access has to be one of 'read', 'write'"),
    ({"name": "x", "until": 5}, "until has to be a timestamp with its zone, such as 2030-01-31T12:00:00Z, or null"),
    ({"name": "x", "tags": 5}, "tags has to be a list of up to 1000"),
    ({"name": "x", "tags": ["a", 5]}, "tags has to be a text"),
    ({"name": "x", "number": "1"}, "number has to be a whole number"),
    ({"name": "x", "is_on": 1}, "is_on has to be true or false"),
    ({"name": "x", "about": None}, "about has to be a text"),
    (
        {"name": "x", "b": 1, "a": 1},
        "Unknown fields 'a', 'b'; known here: name, tags, number, is_on, access, until, about",
    ),
    ({}, "Missing field 'name'"),
    ({"name": "x\0"}, "name has characters that cannot be kept"),
    ({"name": "x", "tags": ["\ud800"]}, "tags has characters that cannot be kept"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED)
def test_a_refusal_is_one_line_that_names_the_field_and_what_to_mend(data, said):
    with pytest.raises(Invalid) as refused:
        bodies.parse(Body, data)
    assert refused.value.message == said
