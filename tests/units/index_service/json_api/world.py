"""An index with people, roles, repositories, comments and facts of images in it, asked through its JSON API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from common.names import ImageId, RepositoryName, Tag
from index_service.accounts.access_tokens import NewToken
from index_service.accounts.organisations import OrganisationProfile
from index_service.database import Database
from index_service.images import image_store
from index_service.images.image_metadata import ImageMetadata
from index_service.repositories.policy import Role
from index_service.services.permissions import Grantee
from tests.units.index_service.live import Harbour
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import IMAGES, Site

API = "/api/v1"
APP, SECRET = RepositoryName.parse("alice/app"), RepositoryName.parse("alice/secret")
PEOPLE = ("alice", "rita", "wendy", "adam", "bob", "olga", "mia", "carl")

CONFIG = (
    '{"id": "x", "config": {"Env": ["A=b", "C"], "Cmd": ["sh"], "Labels": {"k": "v"}, "ExposedPorts": {"80/tcp": {}}}}'
)


def populate(site: Site) -> None:
    """`alice` has the public `app` and the private `secret`, and in both rita may read, wendy write, adam everything.

    `acme` is olga's; mia is a member, and carl is in its team `crew`. bob is nobody in particular, root administrator.
    """
    for name in PEOPLE:
        site.user(name)
    site.user("root", admin=True)
    _push(site)
    _give(site)
    _found(site)
    _talk(site)


class World:
    """An index with all that, and a registry behind it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.harbour = Harbour(site)

    def close(self) -> None:
        self.harbour.close()

    def token(self, name: str, pattern: str = "*", *, write: bool = True) -> str:
        asked = NewToken("for a test", pattern, write, self.site.clock() + timedelta(days=1))
        return self.site.services.accounts.make_access_token(self.site.actor(name), asked, "")

    def ask(self, method: str, path: str, user: str | None = None, body: Any = None, **more: Any) -> TestResponse:
        return self.site.request(method, API + path, user=user, body=body, **more)


def _push(site: Site) -> None:
    for name in ("alice/app", "alice/secret", "alice/deep/er", "alice/doomed", "alice/moving"):
        site.push(name, "alice", images=IMAGES[:3])
    site.push("alice/app", "alice", tag="1.0", images=IMAGES[:2])
    site.push("alice/app", "alice", tag="old", images=IMAGES[:1])
    site.push("alice/secret", "alice", tag="old", images=[IMAGES[8]])
    site.push("root-app", "root", images=IMAGES[:1])
    site.set_private("alice/secret")
    facts = [fact(number) for number in range(3)]
    with Database(site.engine).writing() as session:
        image_store.record(session, facts, site.clock())


def _give(site: Site) -> None:
    alice, roles = site.actor("alice"), {"rita": Role.READ, "wendy": Role.WRITE, "adam": Role.ADMIN}
    for repository in (APP, SECRET):
        for person, role in roles.items():
            site.services.permissions.grant_role(alice, "", repository, Grantee(person), role)


def _found(site: Site) -> None:
    olga, ask = site.actor("olga"), site.services.organisations
    ask.create(olga, "", "acme", OrganisationProfile("Acme Ltd"))
    for person in ("mia", "carl"):
        ask.add_member(olga, "", "acme", person)
    for team in ("crew", "gone"):
        ask.create_team(olga, "", "acme", team, "who does it")
    ask.join_team(olga, "", "acme", "crew", "carl")
    site.push("acme/tool", "olga", images=IMAGES[:2])


def _talk(site: Site) -> None:
    social = site.services.social
    social.set_starred(site.actor("alice"), APP, is_starred=True)
    for repository in (APP, SECRET):
        social.write(site.actor("alice"), repository, "do **not** use", Tag("old"))
        social.write(site.actor("rita"), repository, "fine")
    social.write(site.actor("alice"), APP, "see above", ImageId(IMAGES[0]))
    social.edit(site.actor("rita"), APP, 2, "very fine")
    social.flag(site.actor("wendy"), APP, 2, "too short")


def fact(number: int) -> ImageMetadata:
    parent = ImageId(IMAGES[number - 1]) if number else None
    made = datetime(2015, 1, 1, tzinfo=UTC)
    return ImageMetadata(
        image_id=ImageId(IMAGES[number]),
        parent_id=parent,
        size=1000,
        created_at=made,
        command="RUN true",
        author="me",
        docker_version="1.6.2",
        os="linux",
        architecture="amd64",
        config=CONFIG,
    )


class Session:
    """A browser of somebody's, which speaks with the API as a page's script does."""

    def __init__(self, world: World, name: str) -> None:
        self.reader = Reader(world.site, name)
        self.csrf = self.reader.open("/account").forms["/language"]["csrf"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        headers = {"X-CSRF-Token": self.csrf, **headers}
        return self.reader.client.open(
            API + path, method=method, json=body, headers=headers, environ_overrides=self.reader.environ
        )


def closed(document: Any) -> Any:
    """The document, in which no object may have a field that is not described."""
    for schema in document["components"]["schemas"].values():
        schema.setdefault("additionalProperties", False)
    return document


def check(document: Any, operation: Any, answer: TestResponse) -> None:
    """Whether an answer is what the document says."""
    told = operation["responses"][str(answer.status_code)]
    if "$ref" in told:
        told = document["components"]["responses"][told["$ref"].rpartition("/")[2]]
    if "content" not in told:
        assert answer.get_data() == b""
        return
    schema = {**told["content"]["application/json"]["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(answer.get_json())


def bearer(token: str) -> str:
    return f"Bearer {token}"
