"""The index under test and a registry behind it, both served over real sockets from threads of this process."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from threading import Thread
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from common.names import RepositoryName
from common.tokens import Access, Token
from index_service.database import Database
from index_service.repositories.roles import AccessControl
from index_service.tokens.protocol_tokens import ProtocolTokens
from index_service.tokens.signing import Signer
from registry_service.app import create_app
from registry_service.settings import RegistrySettings
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.clients.docker_v1 import Daemon
from tests.clients.generations import V1_0
from tests.clients.images import TRAILER, Chain, Image, make_tar, pack
from tests.clients.wire import Target
from tests.units.index_service.site import Site


class Quiet(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def log(self, *_: object) -> None:
        """Nobody reads it."""


class Served:
    """A WSGI application on a port of its own; it can be stopped, and begin again on the same port."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._server: BaseWSGIServer | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        server = make_server("127.0.0.1", self.port, self._app, threaded=True, request_handler=Quiet)
        server.daemon_threads = True
        self.port, self._server = server.port, server
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Harbour:
    """An index and one registry, which asks it back; `push` is a daemon's, `asked` what the registry was asked."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._index = Served(self._ask_index)
        self.driver = Memory()
        self.settings = RegistrySettings(index_url=f"http://127.0.0.1:{self._index.port}", secret_keys=("r" * 32,))
        self.registry_app = create_app(self.settings, Guard(self.driver))
        self.asked: list[str] = []
        self.registry = Served(self._ask_registry)
        site.restart(registry_endpoints=(self.endpoint,), registry_timeout=5.0)

    def _ask_index(self, environ: Any, start_response: Any) -> Any:
        """The site's application as it is now: it may be made anew."""
        return self.site.app(environ, start_response)

    def _ask_registry(self, environ: Any, start_response: Any) -> Any:
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        return self.registry_app(environ, start_response)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.registry.port}"

    @property
    def index(self) -> Target:
        return Target("http", "127.0.0.1", self._index.port)

    @property
    def jobs(self) -> Any:
        return self.site.services.jobs

    @property
    def images(self) -> Any:
        return self.site.services.images

    @property
    def image_graph(self) -> Any:
        return self.site.services.image_graph

    @property
    def tags(self) -> Any:
        return self.site.services.tags

    @property
    def deletion(self) -> Any:
        return self.site.services.deletion

    @property
    def reindex(self) -> Any:
        return self.site.services.reindex

    def own_token(self, name: RepositoryName, access: Access) -> Token:
        """One of the index's own, with which it asks the registry."""
        signer = Signer(self.site.settings.secret_keys)
        tokens = ProtocolTokens(signer, timedelta(hours=1), AccessControl(login_only=False))
        with Database(self.site.engine).writing() as session:
            return tokens.issue_own(session, name, access, self.site.clock())

    def close(self) -> None:
        self.registry.stop()
        self._index.stop()

    def daemon(self, user: str = "") -> Daemon:
        return Daemon(V1_0, self.index, user, f"password-{user}" if user else "")

    def push(self, name: str, chain: Chain, tag: str = "latest") -> None:
        self.daemon(name.split("/", maxsplit=1)[0]).push(name, chain, tag)

    def work_off(self) -> int:
        """Do every job that is due; returns how many there were."""
        count = 0
        while self.jobs.do_next():
            count += 1
        return count


def image(parent: Image | None = None, command: object = "true", size: int = 500, **document: Any) -> Image:
    """One image whose layer holds so many incompressible bytes and whose JSON says what it is told."""
    image_id = secrets.token_hex(32)
    described = {
        "id": image_id,
        **({"parent": parent.id} if parent else {}),
        "created": "2014-03-04T12:00:00.123456789Z",
        "container_config": {"Cmd": command if isinstance(command, list) else ["/bin/sh", "-c", command]},
        "docker_version": "1.0.0",
        "architecture": "amd64",
        "os": "linux",
        **document,
    }
    tar = make_tar({"srv/data": secrets.token_bytes(size)}) if size else TRAILER
    raw = json.dumps(described).encode()
    return Image(image_id, parent.id if parent else None, raw, tar, pack(tar, "gzip"))
