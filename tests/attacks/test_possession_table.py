"""Who may do what to which image, through every door that takes an image's id: role × image × action.

Each cell is one request to a live index or its registry; the table says what is answered. `alice` owns the repository;
others have a role in her namespace, had one, or have none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.attacks.test_possession import announce, daemon, private, push_by_hand, tagged, trojan
from tests.clients.images import Image, make_chain
from tests.clients.wire import Answer, call
from tests.servers.process import eventually
from tests.servers.services import ADMIN, Account, sign_up
from tests.servers.setups import ALICE, MALLORY, SetUp

ROLES = ("owner", "writer", "reader", "dismissed", "stranger", "administrator")
IMAGES = ("held", "announced", "apart", "public", "lent", "private")
"""What the repository pushed, only listed, and keeps apart; what others have: a stranger, `library`, a stranger in
private."""


@dataclass
class World:
    """The repository, those who come to it, and images of each kind; `tokens` are for its registry."""

    split: SetUp
    people: dict[str, Account]
    images: dict[str, Image]
    name: str
    elsewhere: str
    comment: int = 0
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def registry(self, role: str, line: str, body: bytes = b"", **headers: str) -> Answer:
        return call(self.split.registry, line, self.tokens[role] | headers, body)

    def index(self, role: str, line: str, body: object) -> Answer:
        headers = {"Authorization": daemon(self.split, self.people[role]).basic, "Content-Type": "application/json"}
        return call(self.split.index, line, headers, json.dumps(body).encode())


def give(split: SetUp, person: Account, role: str | None) -> None:
    headers = {"Authorization": daemon(split, ALICE).basic, "Content-Type": "application/json"}
    line = f"/api/v1/namespaces/{ALICE.name}/roles/people/{person.name}"
    body = json.dumps({"role": role}).encode()
    answer = call(split.index, f"PUT {line}", headers, body) if role else call(split.index, f"DELETE {line}", headers)
    assert answer.status < 300, answer


def pulling(split: SetUp, person: Account, name: str) -> dict[str, str]:
    headers = {"Authorization": daemon(split, person).basic, "X-Docker-Token": "true"}
    answer = call(split.index, f"GET /v1/repositories/{name}/images", headers)
    return {"Authorization": f"Token {answer.header('X-Docker-Token')}"}


@pytest.fixture(scope="module")
def world(setups: dict[str, SetUp]) -> World:
    split = setups["split-http"]
    name, elsewhere = split.fresh_name("table"), split.fresh_name("table")
    digits = name.rpartition("-")[2]
    people = {"owner": ALICE, "stranger": MALLORY, "administrator": ADMIN}
    for role in ("writer", "reader", "dismissed"):
        people[role] = sign_up(split.index, Account(f"{role}{digits}"))
        give(split, people[role], {"reader": "read"}.get(role, "write"))
    images = {kind: make_chain(1)[0] for kind in IMAGES}
    push_by_hand(split, MALLORY, split.fresh_name("squat", MALLORY), (trojan(images["apart"]),))
    for owned in (name, elsewhere):
        token = push_by_hand(split, ALICE, owned, (images["held"],))
        assert tagged(split, token, owned, images["held"], "held").status == 200
        push_by_hand(split, ALICE, owned, (images["apart"],))
    push_by_hand(split, MALLORY, split.fresh_name("shown", MALLORY), (images["public"],))
    hidden = split.fresh_name("hidden", MALLORY)
    push_by_hand(split, MALLORY, hidden, (images["private"],))
    private(split, hidden)
    push_by_hand(split, ADMIN, f"library/lent-{digits}", (images["lent"],))
    for kind in ("lent", "public", "held"):
        line = f"GET /api/v1/images/{images[kind].id}"
        eventually(
            lambda line=line: call(split.index, line).status == 200,
            lambda kind=kind, line=line: f"the index never read {kind}: {call(split.index, line)}",
        )
    made = World(split, people, images, name, elsewhere)
    # Elsewhere means: in the repository whose tags are set, because a tag lets it hold what was another's.
    for role, person in people.items():
        may_push = role in ("owner", "writer", "dismissed")
        for owned, key in ((name, role), (elsewhere, f"{role} elsewhere")):
            made.tokens[key] = (
                announce(split, person, owned, *images.values()) if may_push else pulling(split, person, owned)
            )
    give(split, people["dismissed"], None)
    made.comment = made.index("owner", f"POST /api/v1/repositories/{name}/@comments", {"body": "well"}).json()["id"]
    return made


def exists(world: World, role: str, image: Image) -> Answer:
    """As a daemon asks before it uploads."""
    return world.registry(role, f"GET /v1/images/{image.id}/json")


def begin(world: World, role: str, image: Image) -> Answer:
    return world.registry(role, f"PUT /v1/images/{image.id}/json", image.json)


def send(world: World, role: str, image: Image) -> Answer:
    """A layer of an image that this push has not begun."""
    return world.registry(role, f"PUT /v1/images/{image.id}/layer", image.layer)


def seal(world: World, role: str, image: Image) -> Answer:
    """The checksum of an image that this push has not sent: an empty claim to it."""
    headers = {"X-Docker-Checksum-Payload": image.payload}
    return world.registry(role, f"PUT /v1/images/{image.id}/checksum", **headers)


def build_on(world: World, role: str, image: Image) -> Answer:
    (child,) = make_chain(1)
    child = replace(child, json=json.dumps(json.loads(child.json) | {"parent": image.id}).encode())
    person = world.people[role]
    token = world.tokens[role]
    if role in ("owner", "writer"):
        token = announce(world.split, person, world.name, child)
    return call(world.split.registry, f"PUT /v1/images/{child.id}/json", token, child.json)


def set_tag(world: World, role: str, image: Image) -> Answer:
    token = world.tokens[f"{role} elsewhere"]
    return tagged(world.split, token, world.elsewhere, image, f"t{next(world.numbers)}")


def move_tag_at_index(world: World, role: str, image: Image) -> Answer:
    """As the registry asks; the index believes nobody's word about what the repository holds."""
    line = f"PUT /v1/repositories/{world.name}/tags/t{next(world.numbers)}"
    return call(world.split.index, line, world.tokens[role], json.dumps(image.id).encode())


def list_images(world: World, role: str, image: Image) -> Answer:
    return world.index(role, f"PUT /v1/repositories/{world.name}/", [{"id": image.id}])


def conclude(world: World, role: str, image: Image) -> Answer:
    entry = {"id": image.id, "checksum": f"sha256:{'e' * 64}"}
    return world.index(role, f"PUT /v1/repositories/{world.name}/images", [entry])


def annotate(world: World, role: str, image: Image) -> Answer:
    body = {"body": "do not use", "image_id": image.id}
    return world.index(role, f"POST /api/v1/repositories/{world.name}/@comments", body)


def pin(world: World, role: str, image: Image) -> Answer:
    """The first comment of the repository, which is its owner's."""
    return world.index(
        role, f"PUT /api/v1/repositories/{world.name}/@comments/{world.comment}/pin", {"image_id": image.id}
    )


Action = Callable[[World, str, Image], Answer]

# By image: held, announced, apart, public, lent, private.
TABLE: dict[Action, dict[str, tuple[int, ...]]] = {
    exists: {
        "owner, writer": (200, 404, 200, 404, 200, 404),
        "dismissed": (401,) * 6,
        # A token for reading: what any public repository holds is told, under the shared image of its id.
        "reader, stranger, administrator": (200, 404, 200, 200, 200, 404),
    },
    send: {"owner, writer": (409, 404, 409, 404, 409, 404)},
    seal: {"owner, writer": (200, 404, 200, 404, 200, 404)},
    build_on: {"owner, writer": (200, 400, 200, 200, 200, 400)},
    set_tag: {"owner, writer": (200, 404, 200, 200, 200, 404)},
    move_tag_at_index: {"owner, writer": (200,) * 6},
    list_images: {"owner, writer": (200,) * 6, "reader, dismissed, stranger, administrator": (403,) * 6},
    conclude: {"owner, writer": (204,) * 6, "reader, dismissed, stranger, administrator": (403,) * 6},
    # The repository's own pages show what is pinned to a listed id; those of the image do not.
    annotate: {"owner, writer": (201,) * 6, "reader, dismissed, stranger, administrator": (403,) * 6},
    pin: {"owner, writer": (200,) * 6, "reader, dismissed, stranger, administrator": (403,) * 6},
    # Last: from now on a push of these is under way.
    begin: {"owner, writer": (409, 200, 409, 200, 409, 200)},
}


def expected(action: Action, role: str, image: str) -> int:
    """At the registry, whoever has no token for writing is not let in."""
    for roles, statuses in TABLE[action].items():
        if role in roles.split(", "):
            return statuses[IMAGES.index(image)]
    return 401


@pytest.mark.parametrize(
    ("action", "role"),
    [(action, role) for action in TABLE for role in ROLES],
    ids=[f"{action.__name__}-{role}" for action in TABLE for role in ROLES],
)
def test_every_role_is_answered_about_every_image_as_the_table_says(world: World, action: Action, role: str) -> None:
    answers = {image: action(world, role, world.images[image]).status for image in IMAGES}
    assert answers == {image: expected(action, role, image) for image in IMAGES}


def test_nothing_that_was_said_of_others_images_is_seen_there(world: World) -> None:
    """A text pinned to a listed id, and a checksum that nobody verified."""
    for kind in ("public", "lent"):
        annotate(world, "owner", world.images[kind])
        conclude(world, "owner", world.images[kind])
        told = call(world.split.index, f"GET /api/v1/images/{world.images[kind].id}/annotations").json()
        assert told["items"] == []
        shown = call(world.split.index, f"GET /api/v1/images/{world.images[kind].id}").json()
        assert "e" * 64 not in json.dumps(shown)
