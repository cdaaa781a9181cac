"""A source for the mirror's tests, and another registry: a real HTTP server whose every answer a test may choose."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from common.names import ImageId, RepositoryName
from registry_service.graph.holdings import Holdings
from registry_service.graph.images import Images
from registry_service.graph.push import Push
from registry_service.graph.tags import Tags
from registry_service.mirror.copies import Copies
from registry_service.mirror.mirror import Mirror
from registry_service.mirror.mirrored import MirroredImages, MirroredRepositories, MirroredTags
from registry_service.mirror.sources import MirrorSource
from registry_service.storage.driver import Driver
from registry_service.storage.memory import Memory
from tests.clients.images import Chain, Image

ACME = RepositoryName("acme", "app")


@dataclass
class Said:
    """An answer. With `sent`, so many bytes of the body are sent and the connection is closed."""

    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    sent: int | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Heard:
    path: str
    headers: dict[str, str]


Answer = Callable[[Heard], Said]


class ScriptedSource(ThreadingHTTPServer):
    """Answers by path, and what has no answer with 404; remembers what it heard."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.heard: list[Heard] = []
        self.answers: dict[str, Answer] = {}

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    def say(self, path: str, *said: Said) -> None:
        """These answers in turn, the last one ever after."""
        left = list(said)
        self.answers[path] = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def hold(self, chain: Chain, repository: RepositoryName = ACME, *, sized: bool = True, summed: bool = True) -> None:
        """A repository with this chain, tagged latest, behind the token `pass`."""
        listed = json.dumps([{"id": image.id} for image in chain]).encode()
        token = f'signature=pass,repository="{repository}",access=read'
        self.say(f"/v1/repositories/{repository}/images", Said(listed, [("X-Docker-Token", token)]))
        self.say(f"/v1/repositories/{repository}/tags", Said(json.dumps({"latest": chain[-1].id}).encode()))
        for number, image in enumerate(chain):
            ancestry = [one.id for one in reversed(chain[: number + 1])]
            headers = [("X-Docker-Size", str(len(image.layer)))] if sized else []
            headers += [("X-Docker-Checksum-Payload", image.payload)] if summed else []
            self.say(f"/v1/images/{image.id}/ancestry", Said(json.dumps(ancestry).encode()))
            self.say(f"/v1/images/{image.id}/json", Said(image.json, headers))
            self.say(f"/v1/images/{image.id}/layer", Said(image.layer))

    def heard_of(self, path: str) -> list[dict[str, str]]:
        return [heard.headers for heard in self.heard if heard.path == path]

    def handle_error(self, request: object, client_address: object) -> None:
        """A mirror that gave up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    server: ScriptedSource

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        heard = Heard(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.server.heard.append(heard)
        answer = self.server.answers.get(self.path)
        said = answer(heard) if answer else Said(b'{"error": "no"}', status=404)
        self.send_response(said.status)
        for name, value in said.headers:
            self.send_header(name, value)
        if said.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not any(name == "Content-Length" for name, _ in said.headers):
            self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        body = said.body[: said.sent]
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if said.chunked else body)
        if said.sent is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """The tests read `heard`."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedSource]:
    server = ScriptedSource(tls)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Site:
    """A mirror without its doors: what one process has."""

    def __init__(
        self,
        url: str,
        driver: Driver | None = None,
        *,
        repository: RepositoryName = ACME,
        seconds: float = 0,
        **source: str,
    ) -> None:
        self.driver = driver or Memory()
        self.repository = repository
        self.held = Images(self.driver)
        self.push = Push(self.driver, self.held, 3600)
        self.kept_tags = Tags(self.driver, self.held)
        self.holdings = Holdings(self.driver, self.held, self.kept_tags)
        self.copies = Copies(self.driver, self.held, self.kept_tags, self.holdings)
        self.mirror = Mirror(
            [MirrorSource("*", url, **source)],
            self.driver,
            self.held,
            self.push,
            self.kept_tags,
            self.holdings,
            timeout=5,
            tag_seconds=seconds,
        )
        self.images = MirroredImages(self.held, self.mirror, [repository])
        self.tags = MirroredTags(self.driver, self.held, self.mirror)
        self.repositories = MirroredRepositories(self.driver, self.kept_tags, self.mirror)

    def read(self, image: Image, offset: int = 0, length: int | None = None) -> bytes:
        layer = self.images.layer(ImageId(image.id))
        with self.images.open_layer(layer, offset, length) as reader:
            return b"".join(reader)

    def store(self, image: Image) -> None:
        self.mirror.bring(self.mirror.offer(ImageId(image.id), [self.repository]))
