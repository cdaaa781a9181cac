"""The registry's WSGI entry, for gunicorn's gevent worker: `registry_service.wsgi:app`."""

import os
import sys

from common import log
from common.settings import SettingsError
from registry_service.app import create_app
from registry_service.settings import load_settings
from registry_service.worker import offload

try:
    settings = load_settings(os.environ)
    log.configure("registry", settings.log_level)
    app = create_app(settings, offload=offload)
except SettingsError as error:
    sys.exit(f"wharfinger-registry: {error}")
