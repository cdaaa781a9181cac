"""How gunicorn serves either service; the application named on the command line says which.

    gunicorn -c gunicorn.conf.py index_service.wsgi:app
    gunicorn -c gunicorn.conf.py registry_service.wsgi:app

Everything an operator would change is a setting of the service (docs/settings.md), so nothing needs editing here.
"""

import os
import signal
import sys

from gunicorn import util

from common import access_log, serving
from common.settings import SettingsError, with_file

if any(argument.startswith("registry_service.") for argument in sys.argv):
    from registry_service.settings import load_settings

    service = "registry"
    # gevent: thousands of slow layer streams in one process. Its sockets send files with the system call.
    worker_class = "registry_service.worker.Worker"
    # Each waiting client is one greenlet and one descriptor.
    worker_connections = serving.connections(4096)
else:
    from index_service.settings import load_settings

    service = "index"
    # Threads: a wait for SQLite or one argon2 hash would freeze every greenlet of a gevent hub.
    worker_class = "index_service.worker.Worker"
    # Twice as many as may be half-sent; each is one descriptor.
    worker_connections = serving.connections(2048)

    def child_exit(_arbiter, worker):
        """Free the worker's slot on the scoreboard."""
        worker.forget()


try:
    settings = load_settings(os.environ)
    access_log.require_writable(settings.access_log, settings.access_log_file)
    # What workers load, so that one that is started later has the same.
    serving.environ = with_file(os.environ)
except SettingsError as error:
    sys.exit(f"wharfinger: {error}")

bind = settings.listen
workers = settings.workers
threads = getattr(settings, "threads", 1)
# Hundreds of daemons open one connection per request, all at once.
backlog = 4096
keepalive = 15
# A worker is killed when its main loop stands still this long, not when a transfer takes long.
timeout = 120
# After SIGTERM, how long transfers under way may take to finish. There is no max_requests: it would cut pushes.
graceful_timeout = getattr(settings, "graceful_seconds", 30)
# Gunicorn would open a socket under $HOME for its own control tool.
control_socket_disable = True
forwarded_allow_ips = ""
# Counts every request, and writes the access log.
logger_class = "common.access_log.Logger"
accesslog = None
loglevel = settings.log_level

util.write_error = serving.write_json_error


def listens_at(given):
    return given.listen, given.metrics_listen


def on_starting(arbiter):
    serving.strike_out_secrets(arbiter.log)
    serving.guard_signals(arbiter, listens_at(settings), lambda: listens_at(load_settings(os.environ)))
    serving.metrics_listener.start(settings.metrics_listen)


def on_exit(_arbiter):
    serving.metrics_listener.stop()


def post_fork(_arbiter, _worker):
    """A worker told to stop while it is still loading must not miss it: the arbiter says it once, then waits."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def post_worker_init(worker):
    worker.log.open_access_log(service, settings.access_log, settings.access_log_file)
    serving.metrics_listener.count(service)
    serving.note_started()
