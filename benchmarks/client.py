"""What the simulated daemons have in common: their habits, the heads they send, how they check what they get.

They open a new connection for every request, as daemons did (protocol §1.4), unless told to keep them; they
check status and length of every reply, and of some layers every byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from benchmarks.layers import Image, Layer
from benchmarks.wire import Address, Broken, Reply, Request, Want
from tests.clients.steps import Steps
from tests.clients.wire import Header

CHUNKED = "Transfer-Encoding: chunked"

Verify = Callable[[], bool]

_REDIRECTS = (301, 302, 303, 307)


@dataclass(frozen=True)
class Habits:
    """How these daemons behave: `parallel` layers at once within one pull; `read` takes every byte into user space."""

    agent: str = "docker"
    parallel: int = 1
    keep_alive: bool = False
    read: bool = False


class Daemon(Protocol):
    """One session, with a token and cookies of its own, as generators for the loop.

    `verify` says of each layer in turn whether its bytes are compared.
    """

    def pull(self, image: Image, verify: Verify) -> Steps: ...

    def push(self, image: Image) -> Steps: ...


def every(nth: int) -> Verify:
    """True once in `nth` times, beginning with the first; never where `nth` is 0."""
    turns = _turns(nth)
    return lambda: next(turns)


def head(address: Address, line: str, habits: Habits, fields: Sequence[str] = (), body: bytes | None = None) -> bytes:
    """A request as bytes; `line` is method and path, `fields` are whole header lines."""
    lines = [f"{line} HTTP/1.1", f"Host: {address[0]}:{address[1]}", f"User-Agent: {habits.agent}", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if not habits.keep_alive:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def encoded(line: str, headers: Iterable[Header], habits: Habits) -> bytes:
    """A daemon's whole head as bytes: what it says of its connection is a habit."""
    return f"{line} HTTP/1.1\r\n".encode() + _fields(tuple(headers), habits.keep_alive)


@lru_cache(maxsize=4096)
def _fields(headers: tuple[Header, ...], keep_alive: bool) -> bytes:
    """Most requests of a session bear the same."""
    lines = [f"{name}: {value}\r\n" for name, value in headers if name != "Connection" or not keep_alive]
    return "".join([*lines, "\r\n"]).encode()


def fetch(address: Address, first: bytes, layer: Layer, habits: Habits, verify: bool) -> Steps:
    """Get a layer with the request `first`."""
    want = Want.SHA256 if verify else Want.READ if habits.read else Want.LENGTH
    reply = yield from follow(address, first, habits, want)
    require(reply, (200,), "GET layer")
    if reply.length != layer.size:
        raise Broken(f"GET layer: {reply.length} bytes, not {layer.size}")
    if verify and reply.sha256 != layer.sha256:
        raise Broken("GET layer: wrong bytes")


def follow(address: Address, first: bytes, habits: Habits, want: Want = Want.BODY) -> Steps:
    """The reply to `first`, after one redirect at most: credentials stay behind (protocol §1.9)."""
    reply = yield Request(address, first, want=want, keep_alive=habits.keep_alive)
    if reply.status in _REDIRECTS:
        target = reply.header("Location") or ""
        address = address_of(urlsplit(target).netloc)
        again = head(address, f"GET {local_part(target)}", habits)
        reply = yield Request(address, again, want=want, keep_alive=habits.keep_alive)
    return reply


def require(reply: Reply, wanted: tuple[int, ...], what: str) -> Reply:
    if reply.status not in wanted:
        raise Broken(f"{what}: status {reply.status} {reply.body[:120].decode(errors='replace')}".strip())
    return reply


@lru_cache(maxsize=64)
def address_of(netloc: str) -> Address:
    host, _, port = netloc.strip().partition(":")
    return host, int(port or 80)


def local_part(url: str) -> str:
    """Path and query."""
    target = urlsplit(url)
    return f"{target.path}?{target.query}" if target.query else target.path


def last(line: str) -> str:
    """Method and last telling word of a request, for messages that are counted: ids differ in each."""
    method, _, path = line.partition(" ")
    words = path.partition("?")[0].rstrip("/").split("/")
    return f"{method} {next(word for word in reversed(words) if len(word) < 16)}"


def _turns(nth: int) -> Iterator[bool]:
    count = 0
    while True:
        yield nth > 0 and count % nth == 0
        count += 1
