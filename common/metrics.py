"""Metrics of both services: what happens is noted in memory, and written every second to a file of each worker.

The files have the format of prometheus_client's multiprocess mode; `metrics_listener` merges those of all workers when
Prometheus asks. A note costs an append to a queue, and nothing at all where metrics are off: histograms are summed by
a thread of their own, once a second, without a lock that a request could wait for. Labels come from sets that
are bounded by the code: no repository, no account, no address.

This module is imported by the arbiter and by everything that counts, so prometheus_client is imported only where
files are written.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from common import agents

FLUSH_SECONDS = 1.0

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
"""The buckets of all histograms: from an answer out of memory to a layer for a slow client."""

_FILE_BYTES = 256 * 1024
_HISTOGRAM_BYTES = 2 * 1024 * 1024
"""Room for a histogram of each route."""

_MOST_DISTINCT = 4096
"""Requests that differ in what the client may choose, in memory."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

logger = logging.getLogger(__name__)

Labels = tuple[str, ...]


class _Noted(Protocol):
    def apply(self, files: _Files, labels: Any, value: Any, /) -> None: ...


_queue: deque[tuple[_Noted, Any, Any]] | None = None
"""None where metrics are off."""

families: list[Family] = []
"""Every one that was declared."""

_watched: list[tuple[Gauge, Labels, Callable[[], float]]] = []


class Family:
    """Metrics of one name. `known` are the labels that are there from the start, with zero: what never happened yet is
    not absent."""

    def __init__(self, name: str, doc: str, labels: Labels = (), known: tuple[Labels, ...] = ()) -> None:
        self.name = name
        self.doc = doc
        self.labels = labels
        self.known = known
        self.cells: dict[Labels, Any] = {}
        families.append(self)

    def begin(self, files: _Files) -> None:
        """Write zeros."""

    def apply(self, files: _Files, labels: Labels, value: float, /) -> None:
        """Add what was noted."""
        raise NotImplementedError

    def known_of(self, service: str) -> Iterable[Labels]:
        """Those that are there from the start: the other service has its own."""
        if not self.labels:
            return [()]
        return [labels for labels in self.known if self.labels[0] != "service" or labels[0] == service]

    def _note(self, labels: Labels, value: float) -> None:
        if _queue is not None:
            _queue.append((self, labels, value))


class Counter(Family):
    """A number that only grows; its name ends in `_total`."""

    def add(self, *labels: str, amount: float = 1) -> None:
        self._note(labels, amount)

    def begin(self, files: _Files) -> None:
        for labels in self.known_of(files.service):
            self.apply(files, labels, 0)

    def apply(self, files: _Files, labels: Labels, value: float, /) -> None:
        files.add(self.cell_of(labels), value)

    def cell_of(self, labels: Labels) -> _Cell:
        cell: _Cell | None = self.cells.get(labels)
        if cell is None:
            cell = self.cells[labels] = _Cell("counter", _key(self, labels))
        return cell


class Histogram(Family):
    """A distribution of seconds."""

    def observe(self, seconds: float, *labels: str) -> None:
        self._note(labels, seconds)

    @contextmanager
    def timed(self, *labels: str) -> Iterator[None]:
        """Observe how long the block takes, also where it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - began, *labels)

    def begin(self, files: _Files) -> None:
        for labels in self.known_of(files.service):
            self._begun(files, labels)

    def apply(self, files: _Files, labels: Labels, value: float, /) -> None:
        cells = self.cells_of(files, labels)
        files.add(cells[bisect_left(SECONDS, value)], 1)
        files.add(cells[-1], value)

    def cells_of(self, files: _Files, labels: Labels) -> list[_Cell]:
        """The cells of the buckets, all of which have to be there, and of the sum."""
        found: list[_Cell] | None = self.cells.get(labels)
        return found or self._begun(files, labels)

    def _begun(self, files: _Files, labels: Labels) -> list[_Cell]:
        bounds = [*map(str, SECONDS), "+Inf"]
        keys = [_key(self, labels, "_bucket", bound) for bound in bounds] + [_key(self, labels, "_sum")]
        cells = self.cells[labels] = [_Cell("histogram", key) for key in keys]
        for cell in cells:
            files.add(cell, 0)
        return cells


class Gauge(Family):
    """A number that goes up and down: the sum of all workers', or with `is_shared` what was written last, where each
    worker reads the same."""

    def __init__(self, name: str, doc: str, labels: Labels = (), *, is_shared: bool = False) -> None:
        super().__init__(name, doc, labels)
        self._is_shared = is_shared

    def set(self, value: float, *labels: str) -> None:
        self._note(labels, value)

    def watch(self, read: Callable[[], float], *labels: str) -> None:
        """Read it every second, in the thread that writes the files."""
        _watched.append((self, labels, read))

    def apply(self, files: _Files, labels: Labels, value: float, /) -> None:
        cell = self.cells.get(labels)
        if cell is None:
            kind = "gauge_livemostrecent" if self._is_shared else "gauge_livesum"
            cell = self.cells[labels] = _Cell(kind, _key(self, labels))
        files.set(cell, value)


REQUESTS = Counter(
    "wharfinger_requests_total",
    "Requests by service, door (v1, v2, api, site, health; none for what is no request), method, class of the status, "
    "and kind of client.",
    ("service", "door", "method", "status", "client"),
)
REQUEST_SECONDS = Histogram(
    "wharfinger_request_seconds",
    "Seconds from a whole head to the last byte given to the kernel, by service, door and route.",
    ("service", "door", "route"),
)
BYTES_SENT = Counter(
    "wharfinger_bytes_sent_total",
    "Bytes of bodies, by who sends them: direct (the service), redirect (the store), nginx (the nginx in front).",
    ("service", "via"),
    known=(("registry", "direct"), ("registry", "redirect"), ("registry", "nginx"), ("index", "direct")),
)
WORKERS = Gauge("wharfinger_workers", "Worker processes.", ("service",))
WORKER_STARTS = Counter("wharfinger_worker_starts_total", "Worker processes that were started.", ("service",))
CONNECTIONS = Gauge("wharfinger_connections", "Connections of clients.", ("service",))
WAITING = Gauge(
    "wharfinger_waiting",
    "What waits in a queue of the workers: index: threads (requests that begin), urgent (requests that bear a token), "
    "unsent (answers that clients have yet to take), half (requests that have not arrived whole); registry: index "
    "(questions to the index), threads (blocking work).",
    ("service", "queue"),
)
POOL_USED = Gauge("wharfinger_pool_used", "Busy threads or connections of a pool.", ("service", "pool"))
POOL_SIZE = Gauge("wharfinger_pool_size", "Threads or connections that a pool may have.", ("service", "pool"))


def door_of(path: str) -> str:
    """Which of a service's interfaces a path leads to."""
    if path.endswith(("/_ping", "/_ready", "/_status")):
        return "health"
    if path.startswith("/v1/"):
        return "v1"
    if path.startswith("/v2"):
        return "v2"
    return "api" if path.startswith("/api/") else "site"


class _Requests:
    """Requests: three families at once, so that each costs one note and one look-up."""

    def __init__(self) -> None:
        self._known: dict[Labels, tuple[_Cell, list[_Cell], _Cell]] = {}

    def apply(self, files: _Files, labels: Labels, value: tuple[float, int], /) -> None:
        counted, timed, bytes_sent = self._known.get(labels) or self._cells(files, labels)
        seconds, sent = value
        files.add(counted, 1)
        files.add(timed[bisect_left(SECONDS, seconds)], 1)
        files.add(timed[-1], seconds)
        if sent:
            files.add(bytes_sent, sent)

    def _cells(self, files: _Files, labels: Labels) -> tuple[_Cell, list[_Cell], _Cell]:
        if len(self._known) >= _MOST_DISTINCT:
            self._known.clear()
        door, route, method, status, agent = labels
        door = door or door_of(route)
        method = method if method in _METHODS else "other"
        found = self._known[labels] = (
            REQUESTS.cell_of((files.service, door, method, f"{status[:1]}xx", agents.family(agent))),
            REQUEST_SECONDS.cells_of(files, (files.service, door, route)),
            BYTES_SENT.cell_of((files.service, "direct")),
        )
        return found


_requests = _Requests()


def note_request(door: str, route: str, method: str, status: str, agent: str, seconds: float, sent: int) -> None:
    """One request that was answered; `route` is a template, which tells the door, or `none`."""
    if _queue is not None:
        _queue.append((_requests, (door, route, method, status, agent), (seconds, sent)))


def is_on() -> bool:
    return _queue is not None


def start(folder: Path, service: str) -> None:
    """Begin to write this process's files. Call it once in a worker, after its fork."""
    global _queue
    _queue = deque()
    writer = _Writer(_Files(folder, service), _queue)
    writer.start()
    atexit.register(writer.flush_if_possible)


def allocate(path: Path, kind: str) -> None:
    """Have the disk give the space for a file, unless it is there: a process that writes to a mapped page for which
    there is no space is killed. It appears whole, for whoever reads the folder. Raises OSError."""
    if path.exists():
        return
    new = path.with_suffix(".new")
    file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, _HISTOGRAM_BYTES if kind == "histogram" else _FILE_BYTES)
        new.rename(path)
    except OSError:
        new.unlink()
        raise
    finally:
        os.close(file)


class _Cell:
    """One number, and where it is written."""

    __slots__ = ("is_changed", "key", "kind", "value")

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self.key = key
        self.value = 0.0
        self.is_changed = False


class _Files:
    """The files of this process: `<type>_<pid>.db`, with the values that have changed to be written."""

    def __init__(self, folder: Path, service: str) -> None:
        self.service = service
        self._folder = folder
        self._files: dict[str, Any] = {}
        self._changed: list[_Cell] = []

    def add(self, cell: _Cell, amount: float) -> None:
        cell.value += amount
        if not cell.is_changed:
            cell.is_changed = True
            self._changed.append(cell)

    def set(self, cell: _Cell, value: float) -> None:
        self.add(cell, 0)
        cell.value = value

    def write(self) -> None:
        now = time.time()
        for cell in self._changed:
            self._file(cell.kind).write_value(cell.key, cell.value, now)
            cell.is_changed = False
        self._changed.clear()

    def _file(self, kind: str) -> Any:
        from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - not in the arbiter

        if kind not in self._files:
            path = self._folder / f"{kind}_{os.getpid()}.db"
            allocate(path, kind)
            self._files[kind] = MmapedDict(str(path))
        return self._files[kind]


class _Writer:
    """Applies what was noted, once a second."""

    def __init__(self, files: _Files, queue: deque[tuple[_Noted, Any, Any]]) -> None:
        self._files = files
        self._queue = queue
        self._pid = os.getpid()
        self._has_failed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        WORKER_STARTS.add(self._files.service)
        WORKERS.set(1, self._files.service)
        for family in families:
            family.begin(self._files)
        self.flush_if_possible()
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def flush(self) -> None:
        if os.getpid() != self._pid:
            # A child that was forked of this worker counts nothing.
            return
        with self._lock:
            # First, so that it does not grow whatever fails.
            for _ in range(len(self._queue)):
                noted, labels, value = self._queue.popleft()
                noted.apply(self._files, labels, value)
            for gauge, labels, read in _watched:
                gauge.apply(self._files, labels, read())
            self._files.write()

    def flush_if_possible(self) -> None:
        """A full disk, say, ends neither a service nor what counts: the next turn writes all of it. Logged once."""
        try:
            self.flush()
        except Exception as error:
            if not self._has_failed:
                logger.exception("metrics cannot be written: %s", type(error).__name__)
            self._has_failed = True
        else:
            self._has_failed = False

    def _run(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.flush_if_possible()


def _key(family: Family, labels: Labels, suffix: str = "", bound: str = "") -> str:
    """Names a number in a file; `bound` is that of a histogram's bucket."""
    from prometheus_client.mmap_dict import mmap_key  # noqa: PLC0415 - not in the arbiter

    names, values = list(family.labels), list(labels)
    if bound:
        names.append("le")
        values.append(bound)
    key: str = mmap_key(family.name.removesuffix("_total"), family.name + suffix, names, values, family.doc)
    return key
