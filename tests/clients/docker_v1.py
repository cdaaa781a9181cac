"""A Docker daemon of the v1 age, any generation, as a test needs it: it demands what the real one demands.

What it does stands in generators, which other engines than that of the tests can run (`steps`): `pushing` and `pulling`
are a push and a pull once the daemon knows whom it speaks to.

Every exchange is written down as a `Step` with what the daemon would have put up with and what it got; a step
that got something else ends the command with `DaemonError`, whose text is the table of all steps so far.
A test that expects a refusal names it, and the table `REFUSALS` says at which steps it may come and how.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote

from tests.clients.generations import SIGN_UP_AGENT, Generation
from tests.clients.images import Chain, Image
from tests.clients.steps import Request, Steps, Together, perform
from tests.clients.wire import Answer, Header, Target, WireError

ALREADY_EXISTS = "Image already exists"
KNOWN_USER = b'"Username or email already exists"'


class Refusal(Enum):
    """What a test may expect to be refused for."""

    WRONG_PASSWORD = "wrong password"
    INACTIVE = "account not active"
    NOT_LOGGED_IN = "nobody logged in"
    NOT_ALLOWED = "somebody else's"
    UNKNOWN = "no such repository"
    UNKNOWN_TAG = "no such tag"
    DOWN = "the index is down"


REFUSALS: dict[str, dict[Refusal, Collection[int]]] = {
    "credentials": {Refusal.WRONG_PASSWORD: {401}, Refusal.INACTIVE: {403}},
    "begin push": {
        Refusal.WRONG_PASSWORD: {401},
        Refusal.NOT_LOGGED_IN: {401},
        Refusal.NOT_ALLOWED: {403},
        Refusal.INACTIVE: {403},
    },
    # A private name hides: whoever may not read it is told what is told of a name that does not exist.
    "images": {
        Refusal.WRONG_PASSWORD: {401},
        Refusal.NOT_LOGGED_IN: {404},
        Refusal.NOT_ALLOWED: {404},
        Refusal.UNKNOWN: {404},
        Refusal.INACTIVE: {403},
    },
    "tags": {Refusal.UNKNOWN: {404}, Refusal.UNKNOWN_TAG: {404}, Refusal.DOWN: {503}, Refusal.NOT_LOGGED_IN: {401}},
    "existence": {},
    "json": {Refusal.DOWN: {503}},
    "search": {Refusal.WRONG_PASSWORD: {401}},
}


@dataclass(frozen=True)
class Step:
    """One exchange: what was asked, what the daemon puts up with, what came."""

    name: str
    request: str
    expected: str
    got: str
    passed: bool

    def __str__(self) -> str:
        mark = "ok  " if self.passed else "FAIL"
        return f"{mark} {self.name:12} {self.request:100.100} wants {self.expected:24} got {self.got}"


class DaemonError(Exception):
    """The daemon gave up; the text is its table of steps."""


class Refused(Exception):
    """The refusal the test named came, at the step in `args[0]`."""


@dataclass(frozen=True)
class Pulled:
    """One image as the daemon received it."""

    id: str
    json: bytes
    layer: bytes
    size: int | None


@dataclass
class Daemon:
    """One daemon, logged in as somebody or nobody, that speaks with the index at `index`."""

    generation: Generation
    index: Target
    user: str = ""
    password: str = ""
    official: bool = False
    """Treats the index as Docker Hub: no ping, never standalone."""
    steps: list[Step] = field(default_factory=list)
    _tokens: list[str] = field(default_factory=list)
    _cookies: dict[str, str] = field(default_factory=dict)
    _standalone: bool = True
    _refused: Refusal | None = None

    # commands

    def login(self, refused: Refusal | None = None) -> None:
        """`docker login`. Raises Refused, DaemonError."""
        self._begin(refused)
        perform(self._find_out())
        if self.generation.signs_up:
            perform(self._sign_up())
        headers = [("Authorization", self.basic)]
        self._expect("credentials", perform(self._ask(self.index, "GET /v1/users/", headers)), {200})

    def push(self, name: str, chain: Chain, tag: str = "latest", refused: Refusal | None = None) -> list[str]:
        """`docker push`; returns the ids whose layers were sent. Raises Refused, DaemonError."""
        self._begin(refused)
        perform(self._try_v2(f"POST /v2/{name}/blobs/uploads/", [("Content-Length", "0"), ("Content-Type", "")]))
        perform(self._find_out())
        return perform(self.pushing(name, chain, tag))

    def pushing(self, name: str, chain: Chain, tag: str) -> Steps[list[str]]:
        """Announce the images; to each endpoint those it lacks, and the tag; then the end."""
        endpoints = yield from self._begin_push(name, chain, tag)
        sent: list[str] = []
        for endpoint in endpoints:
            sent += yield from self._push_to(endpoint, name, chain, tag)
        yield from self._finish_push(name, chain, endpoints, sent)
        return sent

    def pull(self, name: str, tag: str = "latest", refused: Refusal | None = None) -> list[Pulled]:
        """`docker pull`; returns the images, the top one first. Raises Refused, DaemonError."""
        self._begin(refused)
        perform(self._try_v2(f"GET /v2/{name}/manifests/{tag}", [("Accept", "application/json")]))
        perform(self._find_out())
        return perform(self.pulling(name, tag))

    def pulling(self, name: str, tag: str) -> Steps[list[Pulled]]:
        """The listed images, the tag, its ancestry, then JSON and layer of each image."""
        answer = yield from self.list_images(name)
        self._keep_token(answer)
        endpoints = self._endpoints(answer, needed=not self.generation.splits_endpoints)
        top = yield from self._resolve(endpoints[0], name, tag)
        ancestry = yield from self._ancestry(endpoints[0], top)
        return (yield from self._download(endpoints[0], ancestry))

    def search(self, term: str, refused: Refusal | None = None) -> list[dict[str, object]]:
        """`docker search`. Raises Refused, DaemonError."""
        self._begin(refused)
        perform(self._find_out())
        limit = "&n=25" if self.generation.search_limit else ""
        headers: list[Header] = [("X-Docker-Token", "true")] if self.generation.search_with_basic else []
        if self.user and self.generation.search_with_basic:
            headers.append(("Authorization", self.basic))
        answer = perform(self._ask(self.index, f"GET /v1/search?q={quote(term)}{limit}", headers))
        self._expect("search", answer, {200})
        found = answer.json()
        well_formed = type(found["num_results"]) is int and isinstance(found["query"], str)
        self.check("search", well_formed and isinstance(found["results"], list), "query, num_results, results", answer)
        return list(found["results"])

    # finding out whom one speaks to

    def _begin(self, refused: Refusal | None) -> None:
        self._refused = refused
        self.steps.clear()
        self._tokens.clear()
        self._cookies.clear()

    def _find_out(self) -> Steps[None]:
        """Probe v2 and ping as the generation does; a v1 ping alone must suffice (protocol §1.3)."""
        if self.generation.asks_v2 == "base":
            yield from self._probe_v2()
        if self.official or not self.generation.pings:
            self._standalone = False
            return
        agent = self.generation.ping_agent
        answer = yield from self._ask(self.index, "GET /v1/_ping", agent=agent)
        self._expect("ping", answer, {200})
        if self.generation.ping_needs_version:
            self.check("ping", bool(answer.header("X-Docker-Registry-Version")), "a version header", answer)
        said = answer.header("X-Docker-Registry-Standalone")
        self._standalone = said is None or said.lower() == "true" or said == "1"

    def _probe_v2(self) -> Steps[None]:
        answer = yield from self._ask(self.index, "GET /v2/")
        self.check("v2", answer.header("Docker-Distribution-Api-Version") is None, "no v2 header", answer)
        self._expect("v2", answer, {404})

    def _try_v2(self, line: str, headers: list[Header]) -> Steps[None]:
        if self.generation.asks_v2 != "full":
            return
        yield from self._probe_v2()
        answer = yield from self._ask(self.index, line, headers)
        self.check("v2", answer.header("Docker-Distribution-Api-Version") is None, "no v2 header", answer)
        self._expect("v2", answer, {404})
        # Docker 1.9 goes on by v1 after this code only.
        is_unknown = answer.json()["errors"][0]["code"] == "MANIFEST_UNKNOWN"
        self.check("v2", is_unknown, "MANIFEST_UNKNOWN", answer)

    def _sign_up(self) -> Steps[None]:
        """POST first: 201 is a new account, 400 with just these 34 bytes a known one; 401 goes on too (§2.2)."""
        account = {"username": self.user, "password": self.password, "auth": "", "email": f"{self.user}@example.com"}
        body = json.dumps(account, separators=(",", ":")).encode()
        headers = [("Content-Type", "application/json; charset=utf-8")]
        answer = yield from self._ask(self.index, "POST /v1/users/", headers, body=body, agent=SIGN_UP_AGENT)
        known = answer.status == 400 and answer.body == KNOWN_USER
        self.check("sign-up", answer.status in (201, 401) or known, "201, 401 or 400 in 34 bytes", answer)

    # push

    def _begin_push(self, name: str, chain: Chain, tag: str) -> Steps[list[Target]]:
        entries = [self._list_entry(image, chain, tag) for image in chain]
        body = json.dumps(entries, separators=(",", ":")).encode()
        headers = [("Content-Type", "application/json"), *self._for_index(reading=False)]
        answer = yield from self._ask(self.index, f"PUT /v1/repositories/{name}/", headers, body=body)
        self._expect("begin push", answer, {200, 201})
        self._keep_token(answer)
        return self._endpoints(answer, needed=True)

    def _list_entry(self, image: Image, chain: Chain, tag: str) -> dict[str, str]:
        entry = {"id": image.id}
        if self.generation.sends_checksums == "both":
            entry["checksum"] = image.payload
        if self.generation.tags_every_ancestor or image is chain[-1]:
            entry["Tag"] = tag
        return entry

    def _push_to(self, endpoint: Target, name: str, chain: Chain, tag: str) -> Steps[list[str]]:
        sent = []
        known = yield from self._known_images(endpoint, chain)
        for image in chain:
            there = known[image.id] if image.id in known else (yield from self._exists(endpoint, image))
            if not there and (yield from self._send_image(endpoint, image)):
                sent.append(image.id)
            every = self.generation.tags_every_ancestor and (not there or self.generation.tags_known_images)
            if image is chain[-1] or every:
                yield from self._tag(endpoint, name, tag, image)
        return sent

    def _known_images(self, endpoint: Target, chain: Chain) -> Steps[dict[str, bool]]:
        """Since 1.6 all images are asked for first, five at a time."""
        if self.generation.existence != "parallel":
            return {}
        answers = yield Together([self._exists(endpoint, image) for image in chain], 5)
        return {image.id: there for image, there in zip(chain, answers, strict=True)}

    def _exists(self, endpoint: Target, image: Image) -> Steps[bool]:
        """Anything but 200 means: push it. What is there has to be told, or pushes would never skip."""
        if self.generation.existence == "none":
            return False
        headers = [] if self.generation.existence == "anonymous" else self.for_registry()
        answer = yield from self._ask(endpoint, f"GET /v1/images/{image.id}/json", headers)
        self.note("existence", answer, "any", passed=answer.status < 500)
        return answer.status == 200

    def _send_image(self, endpoint: Target, image: Image) -> Steps[bool]:
        """JSON, layer, checksum; False where the registry has the image already."""
        if not (yield from self._send_json(endpoint, image)):
            return False
        headers = self.for_registry()
        if self.generation.layer_type:
            headers.append(("Content-Type", "application/octet-stream"))
        answer = yield from self._ask(endpoint, f"PUT /v1/images/{image.id}/layer", headers, chunks=image.chunks)
        self._expect("layer", answer, {200})
        return (yield from self._send_checksum(endpoint, image))

    def _send_json(self, endpoint: Target, image: Image) -> Steps[bool]:
        headers = [("Content-Type", "application/json"), *self.for_registry()]
        if self.generation.checksum_with_json:
            headers.append(("X-Docker-Checksum", image.payload))
        answer = yield from self._ask(endpoint, f"PUT /v1/images/{image.id}/json", headers, body=image.json)
        return self._done_or_known("json", answer)

    def _send_checksum(self, endpoint: Target, image: Image) -> Steps[bool]:
        kind = self.generation.checksum
        if kind == "none":
            return True
        headers = self.for_registry()
        if kind != "payload":
            headers.append(("X-Docker-Checksum", image.tarsum))
        if kind != "tarsum":
            payload = image.wrong_payload if kind == "wrong" else image.payload
            headers.append(("X-Docker-Checksum-Payload", payload))
        answer = yield from self._ask(endpoint, f"PUT /v1/images/{image.id}/checksum", headers, body=b"")
        return self._done_or_known("checksum", answer)

    def _done_or_known(self, name: str, answer: Answer) -> bool:
        known = answer.status != 200 and self._error_of(answer) == ALREADY_EXISTS
        if known:
            self.note(name, answer, "200 or already there", passed=True)
            return False
        self._expect(name, answer, {200})
        return True

    def _tag(self, endpoint: Target, name: str, tag: str, image: Image) -> Steps[None]:
        headers = [("Content-Type", "application/json"), *self.for_registry()]
        body = json.dumps(image.id).encode()
        answer = yield from self._ask(endpoint, f"PUT /v1/repositories/{name}/tags/{tag}", headers, body=body)
        self._expect("tag", answer, {200, 201})

    def _finish_push(self, name: str, chain: Chain, endpoints: list[Target], sent: list[str]) -> Steps[None]:
        """≤0.5 lists every image, 0.6–0.7 those just sent, since 0.8 nothing; the answer is exactly 204."""
        entries = []
        if self.generation.sends_checksums == "both":
            entries = [{"id": image.id, "checksum": image.payload} for image in chain]
        elif self.generation.sends_checksums == "final":
            entries = [{"id": image.id, "checksum": image.tarsum} for image in chain if image.id in sent]
        headers = [("Content-Type", "application/json"), *self._for_index(reading=False)]
        headers += [("X-Docker-Endpoints", f"{endpoint.url}/v1/") for endpoint in endpoints]
        body = json.dumps(entries, separators=(",", ":")).encode()
        answer = yield from self._ask(self.index, f"PUT /v1/repositories/{name}/images", headers, body=body)
        self._expect("end push", answer, {204})

    # pull

    def list_images(self, name: str) -> Steps[Answer]:
        answer = yield from self._ask(self.index, f"GET /v1/repositories/{name}/images", self._for_index(reading=True))
        self._expect("images", answer, {200})
        self.check("images", isinstance(answer.json(), list), "an array of images", answer)
        return answer

    def _resolve(self, endpoint: Target, name: str, tag: str) -> Steps[str]:
        """The id a tag names; bare names become `library/X` on tag reads alone (protocol §1.2)."""
        full = name if "/" in name else f"library/{name}"
        line = f"GET /v1/repositories/{full}/tags"
        if self.generation.asks_single_tag:
            answer = yield from self._ask(endpoint, f"{line}/{tag}", self.for_registry())
            self._expect("tags", answer, {200})
            self.check("tags", isinstance(answer.json(), str), "a JSON string", answer)
            return str(answer.json())
        answer = yield from self._ask(endpoint, line, self.for_registry())
        self._expect("tags", answer, {200})
        tags = answer.json()
        strings = isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values())
        self.check("tags", strings, "an object of strings", answer)
        if tag not in tags and self._refused is Refusal.UNKNOWN_TAG:
            raise Refused("tags")
        self.check("tags", tag in tags, f"tag {tag}", answer)
        return str(tags[tag])

    def _ancestry(self, endpoint: Target, top: str) -> Steps[list[str]]:
        answer = yield from self._ask(endpoint, f"GET /v1/images/{top}/ancestry", self.for_registry())
        self._expect("ancestry", answer, {200})
        ancestry = answer.json()
        self.check("ancestry", bool(ancestry) and ancestry[0] == top, "the image itself first", answer)
        return [str(image_id) for image_id in ancestry]

    def _download(self, endpoint: Target, ancestry: list[str]) -> Steps[list[Pulled]]:
        order = ancestry[::-1] if self.generation.base_first else ancestry
        described: dict[str, tuple[bytes, int | None]] = {}
        layers: list[bytes] = []
        at_once = self.generation.layers_at_once
        for image_id in order:
            described[image_id] = yield from self.get_json(endpoint, image_id)
            if at_once == 1:
                layers.append((yield from self.get_layer(endpoint, image_id, described[image_id][1])))
        if at_once > 1:
            layers = yield Together([self.get_layer(endpoint, one, described[one][1]) for one in order], at_once)
        pulled = [
            Pulled(one, described[one][0], layer, described[one][1]) for one, layer in zip(order, layers, strict=True)
        ]
        return pulled[::-1] if self.generation.base_first else pulled

    def get_json(self, endpoint: Target, image_id: str) -> Steps[tuple[bytes, int | None]]:
        answer = yield from self._ask(endpoint, f"GET /v1/images/{image_id}/json", self.for_registry())
        self._expect("json", answer, {200})
        self.check("json", answer.json()["id"] == image_id, "the image's own JSON", answer)
        size = answer.header("X-Docker-Size")
        sized = size is not None and re.fullmatch(r"\d+", size) is not None
        self.check("json", sized or (size is None and not self.generation.needs_size), "X-Docker-Size", answer)
        return answer.body, int(size) if size else None

    def get_layer(self, endpoint: Target, image_id: str, size: int | None) -> Steps[bytes]:
        line = f"GET /v1/images/{image_id}/layer"
        head = None
        if self.generation.head_before_layer:
            head = yield from self._ask(endpoint, line.replace("GET", "HEAD"), self.for_registry())
            self._expect("layer", head, {200})
        answer = yield from self._ask(endpoint, line, self.for_registry())
        self._expect("layer", answer, {200})
        self.check("layer", answer.header("Content-Encoding") is None, "no Content-Encoding", answer)
        self.check("layer", answer.header("Content-Length") is not None, "Content-Length", answer)
        if head is not None:
            agree = all(head.header(name) == answer.header(name) for name in ("Content-Length", "Accept-Ranges"))
            self.check("layer", agree, "HEAD like GET", head)
        resumable = (head or answer).header("Accept-Ranges") == "bytes" and bool(size)
        body = answer.body
        while not answer.complete:
            self.check("layer", self.generation.resumes and resumable, "a whole layer", answer)
            answer = yield from self._resume(endpoint, line, len(body), size or 0)
            body += answer.body
        return body

    def _resume(self, endpoint: Target, line: str, received: int, total: int) -> Steps[Answer]:
        """Ask for the rest, one byte past the end; 416 without a body is the end of the file (protocol §1.6)."""
        headers = [*self.for_registry(), ("Range", f"bytes={received}-{total}")]
        answer = yield from self._ask(endpoint, line, headers)
        self._expect("resume", answer, {416} if received == total else {206})
        if answer.status == 416:
            self.check("resume", answer.header("Content-Length") == "0", "416 without a body", answer)
        return answer

    # credentials (protocol §1.4)

    @property
    def basic(self) -> str:
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"

    def _basic_everywhere(self) -> bool:
        strict = self.index.scheme == "https" and self._standalone and not self.official
        return strict and self.generation.knows_standalone and (bool(self.user) or self.generation.empty_basic)

    def _for_index(self, *, reading: bool) -> list[Header]:
        headers: list[Header] = [("X-Docker-Token", "true")]
        always = self.generation.empty_basic and not reading
        if self.user or always or self._basic_everywhere():
            return [("Authorization", self.basic), *headers]
        if self._tokens and not self.generation.empty_basic:
            return [("Authorization", f"Token {','.join(self._tokens)}"), *headers]
        return headers

    def for_registry(self) -> list[Header]:
        if self._basic_everywhere():
            return [("Authorization", self.basic)]
        if self._tokens or self.generation.empty_basic:
            return [("Authorization", f"Token {','.join(self._tokens)}")]
        return []

    def _keep_token(self, answer: Answer) -> None:
        tokens = answer.headers_named("X-Docker-Token")
        self.check("token", bool(tokens) or not self.generation.needs_token, "X-Docker-Token", answer)
        self._tokens[:] = tokens

    def _endpoints(self, answer: Answer, *, needed: bool) -> list[Target]:
        """≤0.10 takes every header line as one endpoint, later ones split at commas."""
        lines = answer.headers_named("X-Docker-Endpoints")
        self.check("endpoints", bool(lines) or not needed, "X-Docker-Endpoints", answer)
        items = (
            [item.strip() for line in lines for item in line.split(",")] if self.generation.splits_endpoints else lines
        )
        bare = not any(re.search(r"[/\s,]", item) for item in items)
        self.check("endpoints", bare, "host:port without scheme or path", answer)
        return [self.index.at(item) for item in items] or [self.index]

    # the wire

    def _ask(
        self,
        target: Target,
        line: str,
        headers: Iterable[Header] = (),
        body: bytes | None = None,
        chunks: Iterable[bytes] | None = None,
        agent: str | None = None,
    ) -> Steps[Answer]:
        sent = self.head(target, line, headers, body, chunks is not None, agent)
        try:
            answer = yield Request(target, line, sent, body, chunks)
        except (OSError, WireError) as error:
            self.steps.append(Step("wire", f"{line} @{target.port}", "an answer", repr(error), passed=False))
            raise DaemonError(self.table()) from error
        self._take_cookies(answer)
        if self.generation.takes_any_token and answer.header("X-Docker-Token"):
            self._tokens[:] = answer.headers_named("X-Docker-Token")
        if line.startswith("PUT"):
            self.check("redirect", answer.status // 100 != 3, "no redirect of a write", answer)
        if answer.status >= 400 and not line.startswith("HEAD ") and answer.status != 416 and answer.body != KNOWN_USER:
            self.check("error", self._error_of(answer) is not None, "a JSON object of strings", answer)
        return answer

    def head(
        self,
        target: Target,
        line: str,
        headers: Iterable[Header],
        body: bytes | None = None,
        chunked: bool = False,
        agent: str | None = None,
    ) -> list[Header]:
        """Host, agent, framing, then the others by name, as Go's transport writes them."""
        others = list(headers)
        if self._cookies and (self.generation.cookies_on_reads or not line.startswith("GET")):
            others.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items())))
        framing: list[Header] = []
        if chunked:
            framing = [("Transfer-Encoding", "chunked")]
        elif body is not None:
            framing = [("Content-Length", str(len(body)))]
        tail: list[Header] = [("Accept-Encoding", "gzip")]
        if any(name == "Range" for name, _ in others):
            tail = []
        first: list[Header] = [("Host", target.netloc), ("User-Agent", agent or self.generation.agent)]
        return [*first, *framing, *sorted(others), *tail, ("Connection", "close")]

    def _take_cookies(self, answer: Answer) -> None:
        for line in answer.headers_named("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self._cookies[name.strip()] = value

    def _error_of(self, answer: Answer) -> str | None:
        try:
            return answer.error()
        except (WireError, KeyError):
            return None

    # the table of steps

    def _expect(self, name: str, answer: Answer, statuses: Collection[int]) -> None:
        if self._refused is not None and answer.status in REFUSALS.get(name, {}).get(self._refused, ()):
            self.note(name, answer, f"refusal: {self._refused.value}", passed=True)
            raise Refused(name)
        self.check(name, answer.status in statuses, statuses, answer)

    def check(self, name: str, holds: bool, expected: str | Collection[int], answer: Answer) -> None:
        self.note(name, answer, expected, passed=holds)
        if not holds:
            raise DaemonError(self.table())

    def note(self, name: str, answer: Answer, expected: str | Collection[int], *, passed: bool) -> None:
        if not isinstance(expected, str):
            expected = " or ".join(map(str, sorted(expected)))
        self.steps.append(Step(name, answer.asked, expected, str(answer), passed))

    def table(self) -> str:
        return "\n".join([f"docker {self.generation} against {self.index.url}", *map(str, self.steps)])
