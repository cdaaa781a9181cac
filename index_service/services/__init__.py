"""What a door may ask of the index: each method is one question, answered within short transactions or refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from sqlalchemy import Engine

from index_service.accounts.attempts import Attempts
from index_service.accounts.credential_cache import CredentialCache
from index_service.accounts.links import Links
from index_service.accounts.passwords import Passwords
from index_service.accounts.people import People
from index_service.db import Clock, Database
from index_service.registry_client import RegistryClient
from index_service.registry_health import RegistryHealth
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.pulls import Pulls
from index_service.repositories.roles import Gate
from index_service.services.administration import Administration
from index_service.services.docker import Index
from index_service.services.forgetting import Forgetting
from index_service.services.heads import Heads
from index_service.services.images import Images
from index_service.services.organisations import Organisations
from index_service.services.people import Accounts
from index_service.services.permissions import Permissions
from index_service.services.profiles import Profiles
from index_service.services.search import Search
from index_service.services.social import Social
from index_service.services.work import Work
from index_service.settings import IndexSettings
from index_service.social.pace import Pace
from index_service.tokens.passes import Tokens
from index_service.tokens.signing import Signer


@dataclass(frozen=True)
class Services:
    """All who answer questions, by the kind of question."""

    index: Index
    work: Work
    forgetting: Forgetting
    images: Images
    heads: Heads
    people: Accounts
    profiles: Profiles
    organisations: Organisations
    permissions: Permissions
    administration: Administration
    search: Search
    social: Social


def registry_urls(settings: IndexSettings) -> dict[str, str]:
    """Where the index itself reaches registries, by endpoint."""
    pairs = (pair.partition("=") for pair in settings.registry_urls)
    return {endpoint: url for endpoint, _, url in pairs}


def build(settings: IndexSettings, engine: Engine, *, hasher: PasswordHasher | None, clock: Clock) -> Services:
    """Put the rooms together."""
    database = Database(engine)
    people = People(
        database,
        Passwords(hasher or PasswordHasher()),
        CredentialCache(settings.credential_seconds),
        Attempts(settings.login_rate, settings.address_rate),
        sign_up=settings.sign_up,
        clock=clock,
    )
    links = Links(settings.secret_keys)
    gate = Gate(login_only=not settings.anonymous_pull)
    tokens = Tokens(Signer(settings.secret_keys), timedelta(seconds=settings.token_seconds), gate)
    endpoints = Endpoints(settings.registry_endpoints)
    registries, pulls = RegistryClient(registry_urls(settings), settings.registry_timeout), Pulls()
    heads = Heads(database, gate)
    work = Work(database, people, tokens, endpoints, registries, pulls, clock)
    return Services(
        index=Index(database, people, tokens, gate, endpoints, work, pulls, clock),
        work=work,
        forgetting=Forgetting(database, clock, audit_days=settings.audit_days),
        images=Images(database, gate, heads, tokens, endpoints, registries, clock),
        heads=heads,
        people=Accounts(database, people, links, clock, sign_up=settings.sign_up),
        profiles=Profiles(database, gate, tells_names=settings.sign_up == "open"),
        organisations=Organisations(database, clock),
        permissions=Permissions(database, gate, work.bell, clock),
        administration=Administration(
            database, endpoints, RegistryHealth(registry_urls(settings), clock), links, clock
        ),
        search=Search(database, gate, clock),
        social=Social(database, gate, heads, Pace(settings.comment_rate), clock, confirmed=settings.comment_confirmed),
    )
