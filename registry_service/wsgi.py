"""The registry's WSGI entry, for gunicorn's gevent worker: `registry_service.wsgi:app`."""

from common import log, serving
from common.settings import SettingsError
from registry_service.api.request_context import EXTENSION
from registry_service.app import create_app
from registry_service.offload import offload
from registry_service.settings import load_settings
from registry_service.storage import factory
from registry_service.sweeper import Sweeper

try:
    settings = load_settings(serving.environ)
    log.configure("registry", settings.log_level)
    driver = factory.create(
        settings.storage, settings.storage_path, serving.environ, redis_url=settings.redis_url, offload=offload
    )
    app = create_app(settings, driver, offload=offload)
    registry = app.extensions[EXTENSION]
    Sweeper(registry.push).start()
    if registry.pending_tags is not None:
        registry.pending_tags.start()
except SettingsError as error:
    serving.refuse_to_start(f"wharfinger-registry: {error}")
