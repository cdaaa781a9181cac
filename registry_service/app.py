"""The application factory of the registry: the only module that knows all others."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from common import http
from common.cors import Cors
from registry_service import api
from registry_service.api import request_context
from registry_service.api.allowed_hosts import ANY, AllowedHosts
from registry_service.grants import Gate, OpenGate, TokenGate
from registry_service.graph.condemned import Intents
from registry_service.graph.holdings import Holdings
from registry_service.graph.images import Images
from registry_service.graph.push import Push
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.health import Health
from registry_service.index_client import IndexClient
from registry_service.mirror.mirror import Mirror
from registry_service.mirror.mirrored import MirroredRepositories, MirroredTags
from registry_service.oci.background import BackgroundTranslations
from registry_service.oci.lookup import Lookup
from registry_service.oci.records import Records
from registry_service.oci.translation import Translations
from registry_service.pending_tags import PendingTags
from registry_service.services import Registry
from registry_service.settings import RegistrySettings
from registry_service.storage.driver import Driver, Offload, directly

CHECK_SECONDS = 5.0
"""How long the existence of a layer in a remote store is cached; a read of a layer deleted meanwhile fails."""


def create_app(settings: RegistrySettings, driver: Driver, *, offload: Offload = directly) -> Flask:
    """The registry as a WSGI application; `offload` runs work that would block other requests."""
    registry = create_registry(settings, driver, offload)
    app = Flask("registry_service", static_folder=None)
    app.config["IDLE_SECONDS"] = settings.idle_seconds
    # Over TLS a daemon sends no token to a standalone registry, and a mirror needs it to find the source (§6.6).
    http.install(app, standalone=registry.index is None and registry.mirror is None)
    request_context.install(app, registry)
    is_fronted = settings.trusted_proxies > 0
    api.install(
        app,
        registry,
        delivery=settings.delivery,
        endpoints=settings.endpoints,
        index_url=settings.index_public_url or ("" if is_fronted else settings.index_url.partition(",")[0]),
        is_fronted=is_fronted,
    )
    if settings.cors_origins:
        app.wsgi_app = Cors(app.wsgi_app, settings.cors_origins)  # type: ignore[method-assign]
    if settings.standalone and ANY not in settings.hosts:
        app.wsgi_app = AllowedHosts(app.wsgi_app, (*settings.hosts, *settings.endpoints))  # type: ignore[method-assign]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def create_registry(settings: RegistrySettings, driver: Driver, offload: Offload = directly) -> Registry:
    """Build the services and connect them."""
    index = IndexClient(settings.index_url, settings.index_timeout) if settings.index_url else None
    # A stat of a local file costs next to nothing; one at a remote store is half of the cost of a layer.
    images = Images(driver, offload=offload, check_seconds=0 if driver.is_blocking else CHECK_SECONDS)
    push = Push(driver, images, settings.upload_seconds, offload=offload)
    tags = Tags(driver, images)
    holdings = Holdings(driver, images, tags, offload=offload)
    records = Records(driver)
    translations = Translations(driver, images, records, offload=offload)
    mirror = _create_mirror(settings, driver, images, push, tags, holdings, offload)
    return Registry(
        gate=_create_gate(settings, index, holdings, mirror),
        index=index,
        health=Health(driver, index),
        images=images,
        push=push,
        tags=MirroredTags(driver, images, mirror) if mirror else tags,
        intents=Intents(driver),
        pending_tags=PendingTags(driver, tags, index, settings.secret_keys) if index else None,
        holdings=holdings,
        repositories=MirroredRepositories(driver, tags, mirror) if mirror else Repositories(driver, tags),
        translations=translations,
        background_translations=BackgroundTranslations(translations),
        lookup=Lookup(driver, tags, records),
        mirror=mirror,
    )


def _create_gate(
    settings: RegistrySettings, index: IndexClient | None, holdings: Holdings, mirror: Mirror | None
) -> Gate:
    if index is None:
        return OpenGate(holdings)
    return TokenGate(index, holdings, settings.secret_keys, settings.grant_seconds, mirror=mirror)


def _create_mirror(
    settings: RegistrySettings,
    driver: Driver,
    images: Images,
    push: Push,
    tags: Tags,
    holdings: Holdings,
    offload: Offload,
) -> Mirror | None:
    if not settings.mirror_sources:
        return None
    return Mirror(
        settings.mirror_sources,
        driver,
        images,
        push,
        tags,
        holdings,
        timeout=settings.mirror_timeout,
        tag_seconds=settings.mirror_tag_seconds,
        proxy=settings.mirror_proxy,
        offload=offload,
    )
