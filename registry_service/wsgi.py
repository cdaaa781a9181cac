"""The registry's WSGI entry, for gunicorn's gevent worker: `registry_service.wsgi:app`."""

import os
import sys

from gunicorn.arbiter import Arbiter

from common import log
from common.settings import SettingsError
from registry_service.app import create_app
from registry_service.offload import offload
from registry_service.settings import load_settings
from registry_service.storage import factory

try:
    settings = load_settings(os.environ)
    log.configure("registry", settings.log_level)
    driver = factory.create(
        settings.storage, settings.storage_path, os.environ, redis_url=settings.redis_url, offload=offload
    )
    app = create_app(settings, driver, offload=offload)
except SettingsError as error:
    sys.stderr.write(f"wharfinger-registry: {error}\n")
    # Gunicorn starts a worker anew for ever unless it ends with this very status.
    sys.exit(Arbiter.WORKER_BOOT_ERROR)
