"""The WSGI application of the index, assembled here and nowhere else."""

from __future__ import annotations

from functools import partial

from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import Engine
from werkzeug.middleware.proxy_fix import ProxyFix

from common import http
from common.cors import Cors
from index_service import api, background, current, json_api, services, web
from index_service.database import open_engine
from index_service.db import Clock, now
from index_service.mail.transport import Mailer, choose_transport
from index_service.mount import Mount
from index_service.settings import IndexSettings
from index_service.web.emails import Postman


def create_app(
    settings: IndexSettings,
    *,
    engine: Engine | None = None,
    hasher: PasswordHasher | None = None,
    clock: Clock = now,
) -> Flask:
    """The WSGI application. It opens no connection before its first request, so it may be made before a fork."""
    app = Flask("index_service", static_folder=None)
    # Flask's own response to OPTIONS has the content type of HTML.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["REQUEST_SECONDS"] = settings.request_seconds
    app.config["TRUSTED_PROXIES"] = settings.trusted_proxies
    engine = engine or open_engine(settings.database_url, pool_size=settings.threads, is_serving=True)
    built = services.build(settings, engine, hasher=hasher, clock=clock)
    current.install(app, built)
    mailer = Mailer(choose_transport(settings.smtp_url, settings.mail_folder, clock), settings.mail_from, clock)
    http.install(app, standalone=False)
    api.install(app, origin=settings.origin)
    web.install(app, settings, clock)
    post = partial(built.letters.send_next, Postman(app, mailer).send)
    app.extensions[background.EXTENSION] = background.Background(
        built.jobs, built.pull_counts, built.retention, built.queues, post
    )
    json_api.install(app, settings, clock)
    if settings.cors_origins:
        app.wsgi_app = Cors(app.wsgi_app, settings.cors_origins)  # type: ignore[method-assign]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)  # type: ignore[method-assign]
    if settings.mount:
        app.wsgi_app = Mount(app.wsgi_app, settings.mount)  # type: ignore[method-assign]
    return app
