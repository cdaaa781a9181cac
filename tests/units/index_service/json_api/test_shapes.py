"""Dataclasses as schemas, and as what a body may be: the two say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Generic, Literal, TypeVar

import pytest
from jsonschema import Draft202012Validator, ValidationError

from common.errors import Invalid
from common.names import ImageId, RepositoryName
from index_service.json_api import bodies
from index_service.json_api.shapes import ABSENT, Absent, Shapes
from index_service.pages import HTML_ONLY
from index_service.pages.plain import plain
from index_service.repositories.policy import Role

Row = TypeVar("Row")


@dataclass(frozen=True)
class Leaf:
    """A leaf. Raises Invalid. It is green."""

    name: str
    leaves: tuple[Leaf, ...] = ()

    @property
    def unseen(self) -> str:
        return "never told"


@dataclass(frozen=True)
class Tree(Generic[Row]):
    """A tree."""

    rows: list[Row]
    repository: RepositoryName
    image: ImageId
    role: Role | None
    at: datetime
    day: date
    pair: tuple[str, int]
    pairs: list[tuple[str, str]]
    details: Mapping[str, Any]
    share: float
    kind: Literal["oak", "fir"] = "oak"
    leaf: Leaf | None = None
    form: str = field(default="", metadata=HTML_ONLY)


TREE = Tree(
    [Leaf("a", (Leaf("b"),))],
    RepositoryName("alice", "app"),
    ImageId("0" * 64),
    Role.WRITE,
    datetime(2015, 6, 8, tzinfo=UTC),
    date(2015, 6, 8),
    ("x", 1),
    [("k", "v")],
    {"any": [1, None]},
    0.5,
)


def schema(annotation, *, body=False):
    shapes = Shapes()
    found = shapes.body(annotation) if body else shapes.answer(annotation)
    return {**found, "components": {"schemas": shapes.components}}, shapes.components


def test_what_is_told_fits_its_schema():
    whole, components = schema(Tree[Leaf])
    assert sorted(components) == ["Leaf", "TreeOfLeaf"]
    Draft202012Validator.check_schema(whole)
    Draft202012Validator(whole).validate(plain(TREE))
    assert "form" not in components["TreeOfLeaf"]["properties"]
    assert components["Leaf"]["description"] == "A leaf. It is green."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", [{"name": 5, "leaves": []}]),
        ("rows", [{"leaves": []}]),
        ("repository", None),
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
    assert components["TreeOfLeaf"]["required"] == list(components["TreeOfLeaf"]["properties"])
    for name in plain(TREE):
        with pytest.raises(ValidationError):
            Draft202012Validator(whole).validate({key: value for key, value in plain(TREE).items() if key != name})


def test_two_of_one_name_are_told_apart():
    other = dataclass(frozen=True)(type("Leaf", (), {"__annotations__": {"x": int}, "__module__": "a.big_wood"}))
    shapes = Shapes()
    first, second = shapes.answer(Leaf), shapes.answer(other)
    assert (first["$ref"], second["$ref"]) == ("#/components/schemas/Leaf", "#/components/schemas/BigWoodLeaf")


@dataclass(frozen=True)
class Body:
    """A body."""

    name: str
    tags: tuple[str, ...] = ()
    number: int = 1
    is_on: bool = False
    access: Literal["read", "write"] = "read"
    until: datetime | None = None
    about: str | Absent = ABSENT


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
    assert bodies.parse(Body, {"name": "x"}).about is ABSENT
    assert bodies.parse(Body, {"name": "x", "about": ""}).about == ""
    assert bodies.parse(Body, {"name": "x", "until": "2015-06-08T14:00:00+02:00"}).until == datetime(
        2015, 6, 8, 12, tzinfo=UTC
    )


def test_a_refusal_names_few_fields_and_shortly():
    with pytest.raises(Invalid) as refused:
        bodies.parse(Body, {"x" * 1000 + str(number): 1 for number in range(1000)})
    assert len(refused.value.message) < 500
