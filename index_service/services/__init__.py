"""The service layer: each method is one request of an entry point, served within short transactions or refused.

Services own the transactions. The domains below them (accounts, repositories, images, tokens, social, audit, search)
take the session of the caller's transaction, so that a person, an administrator, a daemon and an operator make a change
through the same function.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from sqlalchemy import Engine

from index_service.accounts.credential_cache import CredentialCache
from index_service.accounts.email_links import EmailLinks
from index_service.accounts.login_rate_limit import LoginRateLimit
from index_service.accounts.passwords import Passwords
from index_service.database import Database
from index_service.db import Clock
from index_service.images.quotas import Quota, Quotas
from index_service.registry_client import RegistryClient
from index_service.registry_health import RegistryHealth
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.pulls import PullCounter
from index_service.repositories.roles import AccessControl
from index_service.services.accounts import Accounts
from index_service.services.administration import Administration
from index_service.services.authentication import Authentication
from index_service.services.deletion import Deletion
from index_service.services.distribution import Distribution
from index_service.services.former_names import FormerNames
from index_service.services.image_graph import ImageGraph
from index_service.services.images import Images
from index_service.services.inventory import Inventory
from index_service.services.job_runner import JobRunner
from index_service.services.letters import Letters
from index_service.services.login_guard import LoginGuard
from index_service.services.metadata_reader import MetadataReader
from index_service.services.operations import Operations
from index_service.services.organisations import Organisations
from index_service.services.permissions import Permissions
from index_service.services.profiles import Profiles
from index_service.services.protocol import Protocol
from index_service.services.pull_counts import PullCounts
from index_service.services.queues import Queues
from index_service.services.readiness import Readiness
from index_service.services.registration import Registration
from index_service.services.registry_tokens import RegistryTokens
from index_service.services.reindex import Reindex
from index_service.services.retention import Retention
from index_service.services.search import Search
from index_service.services.social import Social
from index_service.services.summaries import Summaries
from index_service.services.tag_comparison import TagComparison
from index_service.services.tags import Tags
from index_service.services.token_sweep import TokenSweep
from index_service.services.translation_reader import TranslationReader
from index_service.settings import IndexSettings
from index_service.social.comment_rate_limit import CommentRateLimit
from index_service.tokens.protocol_tokens import ProtocolTokens
from index_service.tokens.signing import Signer


@dataclass(frozen=True, kw_only=True)
class Services:
    """All services."""

    protocol: Protocol
    distribution: Distribution
    operations: Operations
    authentication: Authentication
    accounts: Accounts
    profiles: Profiles
    organisations: Organisations
    permissions: Permissions
    administration: Administration
    summaries: Summaries
    tags: Tags
    images: Images
    image_graph: ImageGraph
    deletion: Deletion
    search: Search
    social: Social
    reindex: Reindex
    jobs: JobRunner
    pull_counts: PullCounts
    retention: Retention
    letters: Letters
    queues: Queues
    readiness: Readiness
    inventory: Inventory


def registry_urls(settings: IndexSettings) -> dict[str, str]:
    """The URLs at which the index itself reaches registries, by endpoint."""
    pairs = (pair.partition("=") for pair in settings.registry_urls)
    return {endpoint: url for endpoint, _, url in pairs}


def build(settings: IndexSettings, engine: Engine, *, hasher: PasswordHasher | None, clock: Clock) -> Services:
    """Wire the services together."""
    database, pulls = Database(engine), PullCounter()
    access_control = AccessControl(login_only=not settings.anonymous_pull)
    tokens = ProtocolTokens(Signer(settings.secret_keys), timedelta(seconds=settings.token_seconds), access_control)
    links, endpoints = EmailLinks(settings.secret_keys), Endpoints(settings.registry_endpoints)
    registries = RegistryClient(registry_urls(settings), settings.registry_timeout)
    health = RegistryHealth(registry_urls(settings), clock)
    limit = LoginRateLimit(settings.login_rate, settings.address_rate)
    guard = LoginGuard(database, limit, clock, account_rate=settings.account_rate)
    passwords, cache = Passwords(hasher or PasswordHasher()), CredentialCache(settings.credential_seconds)
    authentication = Authentication(database, passwords, cache, guard, tokens, clock)
    registration = Registration(database, authentication, guard, clock, sign_up=settings.sign_up)
    own = RegistryTokens(database, tokens, endpoints, clock)
    former_names = FormerNames(database, own, registries)
    facts = MetadataReader(database, own, registries, clock)
    comparison = TagComparison(database, own, registries, clock)
    translations = TranslationReader(database, own, registries, clock)
    jobs = JobRunner(database, own, endpoints, registries, comparison, facts, translations, former_names, clock)
    summaries, sweep = Summaries(database, access_control), TokenSweep(database, clock)
    quotas = Quotas(Quota(settings.quota_bytes, settings.quota_repositories))
    return Services(
        protocol=Protocol(
            database,
            authentication,
            registration,
            tokens,
            access_control,
            endpoints,
            former_names,
            jobs,
            facts,
            pulls,
            sweep,
            quotas,
            clock,
            max_images=settings.max_images,
        ),
        distribution=Distribution(database, authentication, tokens, access_control, endpoints, pulls, sweep, clock),
        operations=Operations(database, authentication, registration, quotas, clock),
        authentication=authentication,
        accounts=Accounts(
            database,
            authentication,
            registration,
            guard,
            links,
            clock,
            sign_up=settings.sign_up,
            session_days=settings.session_days,
        ),
        profiles=Profiles(database, access_control, tells_names=settings.sign_up == "open"),
        organisations=Organisations(database, clock),
        permissions=Permissions(database, access_control, quotas, jobs.wake_up, clock),
        administration=Administration(database, endpoints, health, links, quotas, clock),
        summaries=summaries,
        tags=Tags(database, access_control, summaries, clock),
        images=Images(database, access_control),
        image_graph=ImageGraph(database, access_control, summaries),
        deletion=Deletion(database, access_control, tokens, own, endpoints, registries, former_names, clock),
        search=Search(database, access_control, clock),
        social=Social(
            database,
            access_control,
            summaries,
            CommentRateLimit(settings.comment_rate),
            clock,
            confirmed=settings.comment_confirmed,
        ),
        reindex=Reindex(database, own, endpoints, registries, facts, clock),
        jobs=jobs,
        pull_counts=PullCounts(database, pulls),
        retention=Retention(database, clock, audit_days=settings.audit_days),
        letters=Letters(database, links, clock),
        queues=Queues(database, clock),
        readiness=Readiness(database),
        inventory=Inventory(database, endpoints),
    )
