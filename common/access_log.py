"""Gunicorn's logger, which is told of every request that was answered: it counts it.

The arbiter imports this too, before any worker patches its sockets.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from common import metrics
from common.request_record import KEY, Record


class Logger(GunicornLogger):  # type: ignore[misc]
    """Told of requests by both workers, once the last byte is given to the kernel, and of those that are none."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        if metrics.is_on():
            record = environ.get(KEY) or Record()
            metrics.note_request(
                metrics.door_of(environ["PATH_INFO"]),
                record.route,
                environ["REQUEST_METHOD"],
                str(resp.status),
                environ.get("HTTP_USER_AGENT", ""),
                request_time.total_seconds(),
                resp.sent + record.file_bytes,
            )
