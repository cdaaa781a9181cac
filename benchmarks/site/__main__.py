"""`python -m benchmarks.site`: readers ask for the index's pages as fast as they get them; how long each takes."""

from __future__ import annotations

import argparse
import http.client
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from benchmarks.site.data import Library
from index_service import schema
from index_service.database import open_engine
from tests.servers.postgres import Postgres
from tests.servers.process import Process, free_port
from tests.servers.services import environ_for, serve

SIZES = {"postgresql": 100_000, "sqlite": 10_000}
READERS = 20

MILLISECONDS = {"explore": 100, "repository": 100, "tags": 100, "search": 150, "docker search": 150}
"""What 95 of 100 answers of each page have to be within."""


def main() -> int:
    """Returns 1 where a page was too slow or an answer was no page."""
    options = _options()
    library = Library(options.repositories or SIZES[options.database])
    with tempfile.TemporaryDirectory(prefix="wharfinger-site-") as folder, ExitStack() as stack:
        url = stack.enter_context(_DATABASES[options.database](Path(folder)))
        _fill(library, url)
        port = free_port()
        stack.enter_context(_start(port, url, Path(folder)))
        return max([_measure(page, make, port, options) for page, make in _pages(library).items()])


def _start(port: int, database_url: str, folder: Path) -> Process:
    """The index as its operator starts it."""
    settings = {
        "listen": f"127.0.0.1:{port}",
        "database_url": database_url,
        "secret_keys": secrets.token_hex(32),
        "log_level": "warning",
    }
    return serve("index", folder, port, environ_for("index", settings)).process


def _pages(library: Library) -> dict[str, Callable[[random.Random], str]]:
    """By name, what makes an address of that kind."""

    def repository(chance: random.Random) -> str:
        # Every twentieth is private.
        return library.repository(chance.randrange(library.size // 20) * 20 + 1)

    def term(chance: random.Random) -> str:
        word = library.term(chance.randrange(10_000))
        return chance.choice([word, word[:4], f"{word} {library.term(chance.randrange(10_000))}", repository(chance)])

    return {
        "explore": lambda _: "/",
        "repository": lambda chance: f"/r/{repository(chance)}",
        "tags": lambda chance: f"/r/{repository(chance)}/@tags",
        "search": lambda chance: f"/search?q={quote(term(chance))}",
        "docker search": lambda chance: f"/v1/search?q={quote(term(chance))}&n=25",
    }


def _measure(page: str, make: Callable[[random.Random], str], port: int, options: argparse.Namespace) -> int:
    _read(make, port, 0, 2.0)
    with ThreadPoolExecutor(options.readers) as pool:
        reads = [pool.submit(_read, make, port, number, options.seconds) for number in range(options.readers)]
    times = sorted(took for read in reads for took in read.result())
    half, most = (1000 * times[int(len(times) * share)] for share in (0.5, 0.95))
    allowed = MILLISECONDS[page]
    verdict = "reached" if most <= allowed else "MISSED"
    rate = len(times) / options.seconds
    print(f"{page:14} {rate:6.0f}/s  p50 {half:6.1f} ms  p95 {most:6.1f} ms, at most {allowed}: {verdict}", flush=True)
    return int(most > allowed)


def _read(make: Callable[[random.Random], str], port: int, number: int, seconds: float) -> list[float]:
    """How long each page took that one reader asked for, in seconds."""
    chance, times = random.Random(number), []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    end = time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        address = make(chance)
        connection.request("GET", address)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or not body:
            raise SystemExit(f"{address} answered {answer.status}")
        times.append(time.monotonic() - begun)
    return times


def _fill(library: Library, url: str) -> None:
    begun = time.monotonic()
    engine = open_engine(url)
    schema.upgrade(engine)
    library.fill(engine)
    engine.dispose()
    rows = 20 * library.size
    print(f"{library.size:,} repositories, {rows:,} listed images, in {time.monotonic() - begun:.0f} s", flush=True)


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/index.db"


@contextmanager
def _postgresql(_: Path) -> Iterator[str]:
    server = Postgres(buffers="128MB")
    server.start()
    try:
        yield server.create_database()
    finally:
        server.stop()


_DATABASES = {"sqlite": _sqlite, "postgresql": _postgresql}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.site", description=__doc__)
    parser.add_argument("--database", choices=_DATABASES, default="postgresql", help="(postgresql)")
    parser.add_argument("--repositories", type=int, metavar="N", help="(100,000 in PostgreSQL, 10,000 in SQLite)")
    parser.add_argument("--readers", type=int, default=READERS, metavar="N", help=f"({READERS})")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for each page (10)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
