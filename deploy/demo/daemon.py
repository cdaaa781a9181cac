"""Pushes and pulls as a daemon of 2015 did, with Python's standard library.

Not the daemon of `tests/clients`: the demo needs the service and nothing else, no tests and none of their packages.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from deploy.demo.images import Chain, Image

AGENT = "docker/1.5.0 go/go1.4.1 git-commit/a8a31ef kernel/3.16.0 os/linux arch/amd64"


class DemoFailed(Exception):
    """A service refused; the message says what was asked and what it answered."""


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes


@dataclass
class Daemon:
    """One daemon, logged in as somebody at the index at `url`."""

    url: str
    name: str
    password: str
    _registry: str = ""
    _token: str = ""
    _cookies: dict[str, str] = field(default_factory=dict)

    def login(self) -> None:
        """Makes the account where there is none yet. Raises DemoFailed."""
        body = {"username": self.name, "password": self.password, "email": f"{self.name}@example.com"}
        self._ask("POST", f"{self.url}/v1/users/", json.dumps(body), accepted=(201, 400))
        self._ask("GET", f"{self.url}/v1/users/", auth=self._basic)

    def push(self, repository: str, chain: Chain, tag: str) -> None:
        """Raises DemoFailed."""
        entries = json.dumps([{"id": image.id} for image in chain[:-1]] + [{"id": chain[-1].id, "Tag": tag}])
        self._begin("PUT", f"{self.url}/v1/repositories/{repository}/", entries)
        for image in chain:
            self._send(image)
        target = f"{self._registry}/v1/repositories/{repository}/tags/{tag}"
        self._ask("PUT", target, json.dumps(chain[-1].id), auth=self._token)
        self._ask("PUT", f"{self.url}/v1/repositories/{repository}/images", "[]", auth=self._basic, accepted=(204,))

    def pull(self, repository: str, tag: str) -> None:
        """Raises DemoFailed."""
        self._begin("GET", f"{self.url}/v1/repositories/{repository}/images")
        tags = self._ask("GET", f"{self._registry}/v1/repositories/{repository}/tags", auth=self._token)
        top = json.loads(tags.body)[tag]
        ancestry = self._ask("GET", f"{self._registry}/v1/images/{top}/ancestry", auth=self._token)
        for image_id in json.loads(ancestry.body):
            for part in ("json", "layer"):
                self._ask("GET", f"{self._registry}/v1/images/{image_id}/{part}", auth=self._token)

    def _begin(self, method: str, url: str, body: str | None = None) -> None:
        """Ask the index for a token and for the registry to take it to."""
        self._cookies.clear()
        answer = self._ask(method, url, body, auth=self._basic, wants_token=True)
        self._token = f"Token {answer.headers['X-Docker-Token']}"
        self._registry = f"{self.url.partition(':')[0]}://{answer.headers['X-Docker-Endpoints']}"

    def _send(self, image: Image) -> None:
        url = f"{self._registry}/v1/images/{image.id}"
        if self._ask("GET", f"{url}/json", auth=self._token, accepted=(200, 404)).status == 200:
            return
        self._ask("PUT", f"{url}/json", image.json, auth=self._token)
        self._ask("PUT", f"{url}/layer", image.layer, auth=self._token)
        self._ask("PUT", f"{url}/checksum", auth=self._token, checksum=image.checksum)

    @property
    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode()

    def _ask(
        self,
        method: str,
        url: str,
        body: str | bytes | None = None,
        *,
        auth: str = "",
        checksum: str = "",
        wants_token: bool = False,
        accepted: tuple[int, ...] = (200,),
    ) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(url, data=data, method=method, headers={"User-Agent": AGENT})
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        wanted = {
            "Authorization": auth,
            "Content-Type": "application/json" if isinstance(body, str) else "application/octet-stream",
            "X-Docker-Token": "true" if wants_token else "",
            "X-Docker-Checksum-Payload": checksum,
            "Cookie": cookies,
        }
        for header, value in wanted.items():
            if value:
                request.add_header(header, value)
        answer = _answer(request)
        if answer.status not in accepted:
            raise DemoFailed(f"{method} {url}: {answer.status} {answer.body.decode(errors='replace')[:200]}")
        for line in answer.headers.get_all("Set-Cookie", ()):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer


def _answer(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=60) as got:
            return Answer(got.status, got.headers, got.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())
    except OSError as error:
        raise DemoFailed(f"{request.get_method()} {request.full_url}: {error}; is `make run` running?") from error
