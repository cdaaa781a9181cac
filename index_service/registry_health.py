"""Health checks of registries over HTTP, several at once, cached for some seconds."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

import urllib3

from index_service.db import Clock

KEPT_SECONDS = 10.0
TIMEOUT_SECONDS = 2.0
AT_ONCE = 8

_MAX_BYTES = 64 * 1024
_MAX_SHOWN = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """The result of a health check: `failures` by component, empty if healthy; `milliseconds` it took."""

    is_well: bool
    failures: dict[str, str]
    milliseconds: int
    asked_at: datetime


class RegistryHealth:
    """Requests each registry's `/_status`; `urls` maps endpoints that are not at http://endpoint.

    Responses are bounded and never trusted to be well formed. No transaction may be open meanwhile.
    """

    def __init__(self, urls: Mapping[str, str], clock: Clock) -> None:
        self._urls = dict(urls)
        self._clock = clock
        self._lock = Lock()
        self._known: dict[str, tuple[float, Health]] = {}
        timeout = urllib3.Timeout(connect=TIMEOUT_SECONDS, read=TIMEOUT_SECONDS)
        self._pool = urllib3.PoolManager(maxsize=AT_ONCE, timeout=timeout, retries=False)

    def of(self, endpoints: Iterable[str]) -> dict[str, Health]:
        """The health of each endpoint, cached for seconds, and single-flight: concurrent callers share a request."""
        wanted = list(dict.fromkeys(endpoints))
        with self._lock:
            old = [endpoint for endpoint in wanted if self._is_old(endpoint)]
            if old:
                with ThreadPoolExecutor(min(AT_ONCE, len(old))) as threads:
                    answers = list(threads.map(self._ask, old))
                self._known.update({e: (time.monotonic(), health) for e, health in zip(old, answers, strict=True)})
            return {endpoint: self._known[endpoint][1] for endpoint in wanted}

    def _is_old(self, endpoint: str) -> bool:
        asked, _ = self._known.get(endpoint, (float("-inf"), None))
        return time.monotonic() - asked > KEPT_SECONDS

    def _ask(self, endpoint: str) -> Health:
        began = time.monotonic()
        failures = self._failures(endpoint)
        took = round((time.monotonic() - began) * 1000)
        return Health(not failures, failures, took, self._clock())

    def _failures(self, endpoint: str) -> dict[str, str]:
        url = self._urls.get(endpoint, f"http://{endpoint}") + "/_status"
        try:
            with self._pool.request("GET", url, redirect=False, preload_content=False) as answer:
                return _read(answer.status, answer.read(_MAX_BYTES))
        except urllib3.exceptions.HTTPError as error:
            logger.info("registry %s: %s", endpoint, error)
            return {"registry": "cannot be reached"}


def _read(status: int, body: bytes) -> dict[str, str]:
    """Another registry software may have no `/_status`; then any response counts as healthy."""
    if status in (200, 404):
        return {}
    return _named(body) or {"registry": f"answers with {status}"}


def _named(body: bytes) -> dict[str, str]:
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    failures = told.get("failures") if isinstance(told, dict) else None
    if not isinstance(failures, dict):
        return {}
    return {str(name)[:_MAX_SHOWN]: str(text)[:_MAX_SHOWN] for name, text in list(failures.items())[:10]}
