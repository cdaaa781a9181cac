"""The registry's WSGI entry, for gunicorn's gevent worker: `registry_service.wsgi:app`."""

import gevent

from common import log, metrics, serving
from common.settings import SettingsError
from registry_service.api.request_context import EXTENSION
from registry_service.app import create_app
from registry_service.index_client import CONNECTIONS
from registry_service.offload import offload
from registry_service.services import Registry
from registry_service.settings import load_settings
from registry_service.storage import factory
from registry_service.sweeper import Sweeper


def _watch(registry: Registry) -> None:
    """Measure what waits in this process."""
    threads = gevent.get_hub().threadpool
    metrics.WAITING.watch(lambda: max(0, len(threads) - threads.maxsize), "registry", "threads")
    metrics.POOL_USED.watch(lambda: min(len(threads), threads.maxsize), "registry", "threads")
    metrics.POOL_SIZE.watch(lambda: threads.maxsize, "registry", "threads")
    if registry.index is not None:
        turns = registry.index.turns
        metrics.WAITING.watch(lambda: turns.waiting, "registry", "index")
        metrics.POOL_USED.watch(lambda: turns.held, "registry", "index")
        metrics.POOL_SIZE.watch(lambda: CONNECTIONS, "registry", "index")


try:
    settings = load_settings(serving.environ)
    log.configure("registry", settings.log_level)
    driver = factory.create(
        settings.storage, settings.storage_path, serving.environ, redis_url=settings.redis_url, offload=offload
    )
    app = create_app(settings, driver, offload=offload)
    registry = app.extensions[EXTENSION]
    Sweeper(registry.push).start()
    _watch(registry)
    if registry.pending_tags is not None:
        registry.pending_tags.start()
except SettingsError as error:
    serving.refuse_to_start(f"wharfinger-registry: {error}")
