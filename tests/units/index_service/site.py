"""One index under test: its application on a database of its own, a clock to move, a hasher that counts."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from sqlalchemy import Engine, text

from common.names import ImageId, RepositoryName
from index_service import background
from index_service.accounts import authentication, email_addresses
from index_service.accounts.actor import Actor
from index_service.accounts.email_links import EmailLinks
from index_service.app import create_app
from index_service.audit.log import AuditContext
from index_service.current import EXTENSION
from index_service.database import Database
from index_service.repositories import catalogue, holdings
from index_service.services import Services
from index_service.services.protocol import Protocol
from index_service.settings import IndexSettings

KEY = "first-key-0123456789-0123456789-0123456789"
IMAGES = [f"{number:064x}" for number in range(1, 20)]


class Clock:
    """A clock that stands until moved."""

    def __init__(self) -> None:
        self.now = datetime(2015, 6, 8, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **spell: float) -> None:
        self.now += timedelta(**spell)


class CountingHasher(PasswordHasher):
    """argon2id with parameters made for haste, counting what it is asked."""

    def __init__(self, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_cost=8, parallelism=1)
        self.hashed = 0
        self.verified: list[str] = []

    @property
    def work(self) -> int:
        return self.hashed + len(self.verified)

    def hash(self, password, *, salt=None):
        self.hashed += 1
        return super().hash(password, salt=salt)

    def verify(self, password_hash, password):
        self.verified.append(password_hash)
        return super().verify(password_hash, password)


class Site:
    """An index; `request` asks it something, `user` makes an account whose password is `password-<name>`."""

    def __init__(self, engine: Engine, **settings: object) -> None:
        self.engine = engine
        self.clock = Clock()
        self.hasher = CountingHasher()
        url = engine.url.render_as_string(hide_password=False)
        self.settings = IndexSettings(secret_keys=(KEY,), database_url=url)
        self.restart(**settings)

    def finish_email(self) -> None:
        """Send all letters that are due."""
        self.app.extensions[background.EXTENSION].send_letters()

    def confirmation_link(self, name: str, address: str) -> str:
        """What a letter that confirms an address has in it."""
        return EmailLinks(self.settings.secret_keys).sign_confirmation(self.actor(name).id, address, self.clock())

    def reset_links(self, address: str) -> dict[str, str]:
        """What letters that reset a password have in them, for each account that this address may reset."""
        links = EmailLinks(self.settings.secret_keys)
        with Database(self.engine).reading() as session:
            owners = email_addresses.owners_for_reset(session, address)
            return {user.name: links.sign_reset(user, self.clock(), address) for user in owners}

    def restart(self, **settings: object) -> None:
        """Another process on the same database, perhaps with other settings."""
        self.settings = replace(self.settings, **settings)
        self.app = create_app(self.settings, engine=self.engine, hasher=self.hasher, clock=self.clock)

    @property
    def services(self) -> Services:
        return self.app.extensions[EXTENSION]

    @property
    def protocol(self) -> Protocol:
        return self.services.protocol

    def actor(self, name: str) -> Actor:
        """Somebody as signed in."""
        with Database(self.engine).reading() as session:
            user = authentication.require(session, name)
        return authentication.actor_of(user)

    def user(self, name: str, *, admin: bool = False) -> str:
        self.services.operations.create_user(name, f"password-{name}", f"{name}@example.com", is_admin=admin)
        return name

    def set_active(self, name: str, is_active: bool) -> None:
        self.services.operations.set_active(name, is_active=is_active)

    def request(self, method, path, *, user=None, auth=None, ask=False, body=None, raw=None, address=None, **headers):
        """`user` logs in with Basic, `auth` is a header as it stands, `ask` sends X-Docker-Token: true."""
        if user is not None:
            auth = basic(user)
        if auth is not None:
            headers["Authorization"] = auth
        if ask:
            headers["X-Docker-Token"] = "true"
        data = raw if raw is not None else None if body is None else json.dumps(body)
        environ = {"REMOTE_ADDR": address or "127.0.0.1"}
        client = self.app.test_client(use_cookies=False)
        return client.open(path, method=method, headers=headers, data=data, environ_overrides=environ)

    def push(self, repository, user, *, tag="latest", images=IMAGES[:2], told=True, held=True):
        """A whole push as this index sees it, up to what it reads from the registry then; returns the write token's
        Authorization header. Without `told` it only begins, without `held` nothing is read."""
        entries = [{"id": id_} for id_ in images[:-1]] + [{"id": images[-1], "Tag": tag}]
        answer = self.request("PUT", f"/v1/repositories/{repository}/", user=user, ask=True, body=entries)
        assert answer.status_code == 200, answer.data
        token = authorization(answer)
        if told:
            told_of = self.request(
                "PUT", f"/v1/repositories/{repository}/tags/{tag}", auth=token, raw=json.dumps(images[-1])
            )
            assert told_of.status_code == 200, told_of.data
            done = self.request("PUT", f"/v1/repositories/{repository}/images", user=user, raw="[]")
            assert done.status_code == 204, done.data
            if held:
                self.hold(repository, images)
        return token

    def hold(self, repository, images, *, apart=0):
        """What the registry's answer records: a tag of the repository reaches these, given from their base on; the
        last `apart` of them with content of its own."""
        with Database(self.engine).writing() as session:
            found = catalogue.find(session, RepositoryName.parse(repository))
            holdings.record(session, found.id, [ImageId(id_) for id_ in images[::-1]], apart, self.clock())

    def pull_token(self, repository, user=None):
        answer = self.request("GET", f"/v1/repositories/{repository}/images", user=user, ask=True)
        assert answer.status_code == 200, answer.data
        return authorization(answer)

    def redeem(self, repository, auth):
        """What a registry asks; the answer's status."""
        return self.request("GET", f"/v1/repositories/{repository}/images", auth=auth).status_code

    def set_private(self, repository, is_private=True):
        self.services.operations.set_private(RepositoryName.parse(repository), is_private=is_private)

    def drop(self, repository):
        """Delete a repository here, and not at its registry."""
        with Database(self.engine).writing() as session:
            found = catalogue.find(session, RepositoryName.parse(repository))
            catalogue.delete_repository(session, AuditContext(None, "", self.clock()), found)

    def rows(self, statement, **parameters):
        with self.engine.connect() as connection:
            return connection.execute(text(statement), parameters).all()


def basic(user, password=None):
    pair = f"{user}:{password if password is not None else f'password-{user}'}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def authorization(answer):
    return f"Token {answer.headers['X-Docker-Token']}"
