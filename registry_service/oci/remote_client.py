"""The client of another registry by `/v2/`: logins, tokens, redirects and repeated attempts.

The password goes to the registry, or to the address where that says tokens are issued; a password or a token goes to no
other host that a redirect or an upload leads to, and nowhere by plain HTTP unless that is allowed.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from urllib3.response import BaseHTTPResponse

from common.cache import Cache
from common.deadline import read_body
from common.errors import Conflict, Invalid, Unavailable
from registry_service.oci.logins import Login
from registry_service.proxies import Connections
from registry_service.storage.retrying import BROKEN, TRANSIENT_STATUSES, RetryPolicy

MAX_BODY_BYTES = 4 * 1024 * 1024
"""No manifest is larger."""

_TIMEOUT = urllib3.Timeout(connect=10, read=300)
"""A store may copy a large layer before it answers."""

_ATTEMPTS = 5
_REDIRECTS = 5
_CACHED_TOKENS = 4096
_TOKEN_SECONDS = 60
"""How long a token is valid that says nothing of it."""

_AGENT = "wharfinger"
_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
_UNPRINTABLE = re.compile(r"[^ -~]+")

Scopes = tuple[str, ...]
"""What a token is asked for, as in `repository:acme/app:pull,push`."""


class RemoteFailed(Unavailable):
    """No answer, or one that may be another in a moment."""


class RemoteRefused(Conflict):
    """The registry does not do what it is asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: so many bytes, in blocks that are opened for each attempt."""

    size: int
    open: Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def location(self) -> str:
        return urljoin(self.url, self.headers.get("Location", ""))


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """Where a registry is, and what the names of its repositories begin with there."""

    scheme: str
    host: str
    prefix: str

    @staticmethod
    def parse(text: str, *, may_be_plain: bool) -> RegistryAddress:
        """`https://HOST[:PORT][/PREFIX]`. Raises Invalid."""
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise Invalid("Give the registry as https://HOST[:PORT][/PREFIX]")
        if "@" in parts.netloc:
            raise Invalid("Leave user and password out of the URL, where every process of the machine can read them")
        if parts.scheme == "http" and not (may_be_plain or is_loopback(parts.hostname or "")):
            raise Invalid("A registry elsewhere is sent nothing by http:// unless you give --insecure")
        return RegistryAddress(parts.scheme, parts.netloc, parts.path.strip("/"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"


class RemoteClient:
    """Requests to one registry, from any thread. They raise RemoteFailed and RemoteRefused."""

    def __init__(self, address: RegistryAddress, login: Login | None, *, may_be_plain: bool) -> None:
        self.address = address
        self._login = login
        self._may_be_plain = may_be_plain
        self._connections = Connections("", _TIMEOUT)
        self._policy = RetryPolicy(_ATTEMPTS)
        self._challenge: str | None = None
        self._gone: str | None = None
        self._tokens: Cache[Scopes, tuple[str, float]] = Cache(_CACHED_TOKENS)
        self._locks: Cache[Scopes, Lock] = Cache(_CACHED_TOKENS)

    def ping(self) -> None:
        """Find out what the registry demands, and whether the login is one; the first request of all."""
        answer = self.ask("GET", f"{self.address}/v2/", ())
        if answer.status != 200:
            raise self.refusal(answer, "where /v2/ should be")

    def ask(
        self, method: str, url: str, scopes: Scopes, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """The answer to a request that may be made again."""
        sent = Body(len(body), lambda: [body]) if method not in ("GET", "HEAD") else None

        def attempt() -> Answer:
            answer = self.once(method, url, scopes, headers, sent)
            if answer.status in TRANSIENT_STATUSES:
                raise self.refusal(answer, "at last")
            return answer

        return self.repeated(attempt)

    def once(
        self, method: str, url: str, scopes: Scopes, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> Answer:
        """The answer to one attempt; another where the registry demands a login, or takes the old token no more."""
        sent = dict(headers or {})
        answer = self._exchange(method, url, sent | self._authorization(url, scopes), body)
        if answer.status == 401 and self._is_own(url):
            self._challenge = answer.headers.get("WWW-Authenticate", "")
            self._tokens.discard(scopes)
            answer = self._exchange(method, url, sent | self._authorization(url, scopes), body)
        return answer

    def repeated(self, act: Callable[[], Answer]) -> Answer:
        """What takes several requests, from its beginning until it succeeds. A registry that is gone is asked no more:
        there may be thousands of tags to say so of.
        """
        if self._gone is not None:
            raise RemoteFailed(self._gone)
        try:
            return self._policy.call(lambda _: act(), _is_transient)
        except RemoteFailed as failure:
            if not self._is_there():
                self._gone = failure.message
            raise

    def _is_there(self) -> bool:
        try:
            return self._send("GET", f"{self.address}/v2/", {}, None).status not in TRANSIENT_STATUSES
        except RemoteFailed:
            return False

    def refusal(self, answer: Answer, words: str) -> RemoteRefused | RemoteFailed:
        """An answer that was not hoped for, in words."""
        kind = RemoteFailed if answer.status in TRANSIENT_STATUSES else RemoteRefused
        return kind(f"{self.address.host} answers {answer.status}{_said(answer.body)} {words}")

    # the wire

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> Answer:
        """Redirects are followed where nothing is sent; what leads to another host is sent no Authorization."""
        for _ in range(_REDIRECTS):
            answer = self._send(method, url, headers, body)
            if answer.status not in (301, 302, 303, 307, 308) or body is not None or not answer.headers.get("Location"):
                return answer
            url = answer.location
            if not self._is_own(url):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
        raise RemoteRefused(f"{self.address.host} redirects without an end")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> Answer:
        self._require_safe(url)
        sent = {"User-Agent": _AGENT, **headers}
        if body is not None:
            sent["Content-Length"] = str(body.size)
        try:
            response = self._connections.request(
                method,
                url,
                headers=sent,
                body=None if body is None or not body.size else body.open(),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            with response:
                return Answer(url, response.status, response.headers, _whole_body(response))
        except BROKEN as error:
            raise RemoteFailed(f"{self.address.host} does not answer: {_reason(error)}") from error

    def _require_safe(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return
        if parts.scheme != "http" or not (self._may_be_plain or is_loopback(parts.hostname or "")):
            raise RemoteRefused(
                f"{self.address.host} leads to an address that is not https: {parts.netloc or url:.100}"
            )

    def _is_own(self, url: str) -> bool:
        return _origin(url) == _origin(str(self.address))

    # logins and tokens

    def _authorization(self, url: str, scopes: Scopes) -> dict[str, str]:
        if self._challenge is None or not self._is_own(url):
            return {}
        kind = self._challenge.partition(" ")[0].lower()
        if kind == "basic":
            return {"Authorization": self._basic()}
        if kind == "bearer":
            return {"Authorization": f"Bearer {self._token(scopes)}"}
        raise RemoteRefused(f"{self.address.host} demands a login of a kind that is not known here")

    def _basic(self) -> str:
        if self._login is None:
            raise RemoteRefused(f"{self.address.host} demands a login")
        return self._login.basic

    def _token(self, scopes: Scopes) -> str:
        with self._locks.get_or_put(scopes, Lock):
            token, expires = self._tokens.get(scopes) or ("", 0.0)
            if expires <= time.monotonic():
                token, seconds = self._new_token(scopes)
                self._tokens.put(scopes, (token, time.monotonic() + seconds))
            return token

    def _new_token(self, scopes: Scopes) -> tuple[str, float]:
        """A redirect from where tokens are issued is refused: it would take the password along."""
        said = dict(_PARAMETER.findall(self._challenge or ""))
        asked = [("scope", scope) for scope in scopes]
        if "service" in said:
            asked.insert(0, ("service", said["service"]))
        realm = said.get("realm", "")
        headers = {"Authorization": self._login.basic} if self._login else {}
        answer = self._send("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(asked)}", headers, None)
        if answer.status != 200:
            raise self.refusal(answer, "where it issues tokens")
        return _token_in(answer.body, self.address.host)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, RemoteFailed)


def _whole_body(response: BaseHTTPResponse) -> bytes:
    """Raises an HTTPError for one that is cut."""
    body = read_body(response, MAX_BODY_BYTES)
    if len(body) > MAX_BODY_BYTES:
        raise urllib3.exceptions.ProtocolError("the answer has no end")
    return body


def _token_in(body: bytes, host: str) -> tuple[str, float]:
    try:
        said: dict[str, Any] = json.loads(body)
        token = said.get("token") or said["access_token"]
        seconds = float(said.get("expires_in") or _TOKEN_SECONDS)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        # Without the cause, which may quote a token.
        raise RemoteRefused(f"{host} issues no token where it should") from None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise RemoteRefused(f"{host} issues no token where it should")
    # Not to the last second: the request that bears it takes its time.
    return token, seconds * 0.9


def _said(body: bytes) -> str:
    """Code and message of a failure, without what would write to a terminal elsewhere."""
    try:
        first = json.loads(body)["errors"][0]
        text = ": ".join(str(first[name]) for name in ("code", "message") if first.get(name))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    return f" ({_UNPRINTABLE.sub(' ', text)[:300]})"


def _reason(error: Exception) -> str:
    """Why there was no answer: the last of the causes, in which there are no addresses with secrets."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return _UNPRINTABLE.sub(" ", type(cause).__name__)
