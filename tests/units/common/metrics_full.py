"""A worker counts on a disk that is full: it lives, and once there is space all of it is told."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from common import metrics
from common.metrics_listener import Metrics


def main(root: Path) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger("common.metrics").addHandler(handler)
    filler = root / "filler"
    filler.write_bytes(b"x" * os.statvfs(root).f_bavail * os.statvfs(root).f_bsize)
    metrics.FLUSH_SECONDS = 0.05
    metrics.start(root, "registry")
    for _ in range(10):
        metrics.note_request("", "/v1/search", "GET", "200 OK", "curl/7", 0.2, 100)
        time.sleep(0.05)
    assert "wharfinger_requests_total" not in told(root)
    assert len(records) == 1, records
    filler.unlink()
    time.sleep(1)
    assert 'wharfinger_requests_total{client="curl",door="v1",method="GET",service="registry",status="2xx"} 10' in told(
        root
    )


def told(root: Path) -> str:
    return Metrics(root).exposition("")[0].decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
