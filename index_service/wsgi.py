"""The WSGI entry point `index_service.wsgi:app`, configured by the environment."""

from __future__ import annotations

from common import log, serving
from index_service.app import create_app
from index_service.settings import SERVICE, load_settings

settings = load_settings(serving.environ)
log.configure(SERVICE, settings.log_level)
app = create_app(settings)
