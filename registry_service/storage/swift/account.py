"""Requests to one Swift account: tokens, connections, retries, and answers in the contract's words."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from swiftclient import client
from swiftclient.exceptions import ClientException

from common.settings import SettingsError, file, one_of, seconds, setting, url, variable, whole_number
from registry_service.storage.driver import PathNotFound, StorageFailure, StorageFull
from registry_service.storage.keystone import Identity, IdentityProblem, Login, PatientAdapter
from registry_service.storage.retrying import BROKEN, NoAnswer, Refused, RetryPolicy

MIB = 1024**2

_ALSO_TRANSIENT = (409, 422, 498)
"""A write stamped earlier than the one before it, by another proxy's clock; a body damaged on the way; a rate limit."""

_FULL = (413, 507)


def container_name(text: str) -> str:
    if not text or "/" in text:
        raise ValueError(f"{text!r} is no name of a container")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class SwiftSettings:
    """WHARFINGER_SWIFT_*, or the table [swift]."""

    container: str = setting(container_name, "Container, which must exist; the storage path is the root within it.")
    auth_url: str = setting(url, "URL of Keystone, as http(s)://host:port/v3, or of tempauth, as …/auth/v1.0.")
    user: str = setting(str, "User name; with tempauth account:user.")
    password: str = setting(str, "Password, or key of tempauth.", secret=True)
    auth_version: str = setting(
        one_of("3", "1"), "Version of the authentication: 3 is Keystone v3, 1 is tempauth.", "3"
    )
    project: str = setting(str, "Project in Keystone.", "")
    user_domain: str = setting(str, "Name of the user's domain.", "Default")
    project_domain: str = setting(str, "Name of the project's domain.", "Default")
    region: str = setting(str, "Region in Keystone's catalogue; empty means any.", "")
    interface: str = setting(
        one_of("public", "internal", "admin"), "Interface of the endpoint in the catalogue.", "public"
    )
    storage_url: str = setting(url, "Storage URL of the account, instead of the one returned with the token.", "")
    ca_bundle: str = setting(file, "CA bundle to trust instead of the system's.", "")
    segments_container: str = setting(
        str,
        "Container for segments, created if missing; empty means the container's name with _segments.",
        "",
    )
    segment_bytes: int = setting(
        whole_number(1),
        "Size of a segment in bytes, one in memory per upload; smaller contents are one object.",
        16 * MIB,
    )
    attempts: int = setting(whole_number(1), "Maximum attempts of a request.", 5)
    connect_timeout: float = setting(seconds, "Connect timeout, in seconds.", 5.0)
    read_timeout: float = setting(seconds, "Read timeout, in seconds.", 60.0)
    connections: int = setting(whole_number(1), "Maximum idle connections in the pool.", 128)
    temporary_urls: str = setting(
        one_of("off", "container", "account"), "Whose Temp-URL-Key signs URLs; off disables signed URLs.", "off"
    )
    temporary_url_key: str = setting(
        str, "Key to sign with, set where it is not; empty means the existing one.", "", secret=True
    )
    url_seconds: float = setting(seconds, "Lifetime of a signed URL, in seconds.", 1200.0)
    url_endpoint: str = setting(url, "Storage URL in signed URLs, if clients reach the account by another name.", "")

    def __post_init__(self) -> None:
        if self.auth_version == "3" and not self.project:
            raise ValueError(f"{named('project')} is not set: Keystone gives tokens for a project")
        if self.temporary_urls == "container" and self.segments_container != self.container:
            raise ValueError(
                f"{named('segments_container')}: a container's key opens nothing beside it: name the container itself, "
                f"or say {named('temporary_urls')}=account"
            )
        if not self.segment_bytes <= 1024**3:
            raise ValueError(f"{named('segment_bytes')}: segments are kept in memory, a gibibyte is too much")


def named(field: str) -> str:
    return variable("swift", field)


class LoginFailed(Exception):
    """No token: whether the login was refused, and why in a few words."""

    def __init__(self, reason: str, refused: bool) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class _Pass:
    url: str
    token: str


class Account:
    """One account. May be used by many threads at once, and by greenlets where the process is patched."""

    def __init__(self, settings: SwiftSettings) -> None:
        """Log in. Raises SettingsError."""
        self._settings = settings
        self._timeout = (settings.connect_timeout, settings.read_timeout)
        self.retry = RetryPolicy(settings.attempts, _ALSO_TRANSIENT)
        self._login = _Keystone(settings) if settings.auth_version == "3" else _Tempauth(settings, self._timeout)
        self.url = self._first_url()
        self._parsed, self._connection = self._connect(self.url)

    def ask(self, path: str, function: Callable[..., Any], *arguments: Any, **named_ones: Any) -> Any:
        """Call one of swiftclient's functions with our account, token and a connection; retried where that may help.

        Every request made here may be made twice. Raises PathNotFound, StorageFull, Refused for another answer than
        asked for, StorageFailure for none.
        """

        def attempt(number: int) -> Any:
            try:
                return self._ask(function, *arguments, **named_ones)
            except ClientException as error:
                raise _problem(path, error, number) from error
            except LoginFailed as error:
                failure = StorageFailure if error.refused else NoAnswer
                raise failure(path, f"{error} at attempt {number}") from error
            except BROKEN as error:
                raise NoAnswer(path, f"{type(error).__name__} at attempt {number}") from error

        return self.retry.call(attempt)

    def _ask(self, function: Callable[..., Any], *arguments: Any, **named_ones: Any) -> Any:
        """Ask once; with a new token once more, because tokens end when they like."""
        token = self._login.token()
        try:
            return function(self.url, token, *arguments, http_conn=self.connection(), **named_ones)
        except ClientException as error:
            if error.http_status != 401:
                raise
        self._login.renew(token)
        return function(self.url, self._login.token(), *arguments, http_conn=self.connection(), **named_ones)

    def capabilities(self) -> dict[str, Any]:
        """What the cluster says of itself; nothing where it will not."""
        parts = urlsplit(self.url)
        place = urlsplit(urlunsplit((parts.scheme, parts.netloc, parts.path.partition("/v1")[0] + "/info", "", "")))
        try:
            found: dict[str, Any] = client.get_capabilities((place, self.connection()[1]))
        except (ClientException, ValueError, *BROKEN):
            return {}
        return found

    def connection(self) -> tuple[Any, Any]:
        """One for one request: swiftclient's keep the last answer in them; the sockets behind are shared."""
        return self._parsed, copy.copy(self._connection)

    def _first_url(self) -> str:
        try:
            if not self._settings.storage_url:
                return self._login.url()
            self._login.token()
        except LoginFailed as error:
            raise SettingsError(
                f"{named('user')} and {named('password')}: {self._settings.auth_url} refuses them"
                if error.refused
                else f"{named('auth_url')}: no token from {self._settings.auth_url} ({error}): mend the address"
            ) from error
        return self._settings.storage_url

    def _connect(self, address: str) -> tuple[Any, Any]:
        parsed, connection = client.http_connection(
            address, cacert=self._settings.ca_bundle or None, timeout=self._timeout
        )
        adapter = PatientAdapter(self._timeout, self._settings.connections)
        for scheme in ("http://", "https://"):
            connection.request_session.mount(scheme, adapter)
        # Swift does not redirect; whoever does shall not see the token.
        connection.request_session.max_redirects = 0
        return parsed, connection


class _Tempauth:
    """Tokens of the first kind: a user and a key in headers."""

    def __init__(self, settings: SwiftSettings, timeout: tuple[float, float]) -> None:
        self._settings = settings
        self._timeout = timeout
        self._lock = threading.Lock()
        self._pass: _Pass | None = None

    def url(self) -> str:
        return self._current().url

    def token(self) -> str:
        return self._current().token

    def renew(self, refused: str) -> None:
        """Forget a token, unless somebody else has done so."""
        with self._lock:
            if self._pass is not None and self._pass.token == refused:
                self._pass = None

    def _current(self) -> _Pass:
        with self._lock:
            if self._pass is None:
                self._pass = self._ask()
            return self._pass

    def _ask(self) -> _Pass:
        settings = self._settings
        ca_bundle = settings.ca_bundle or None
        try:
            found, token = client.get_auth_1_0(
                settings.auth_url, settings.user, settings.password, cacert=ca_bundle, timeout=self._timeout
            )
        except ClientException as error:
            raise LoginFailed(f"login answered {error.http_status}", error.http_status in (401, 403)) from error
        except BROKEN as error:
            raise LoginFailed(f"login: {type(error).__name__}", refused=False) from error
        if not found or not token:
            raise LoginFailed("login answered without a token", refused=False)
        return _Pass(str(found).rstrip("/"), str(token))


class _Keystone:
    """Tokens of Keystone v3."""

    def __init__(self, settings: SwiftSettings) -> None:
        same = ("auth_url", "user", "user_domain", "password", "project", "project_domain", "region", "interface",
                "ca_bundle", "connect_timeout", "read_timeout", "connections")  # fmt: skip
        self._identity = Identity(Login(service="swift", **{name: getattr(settings, name) for name in same}))
        self._lock = threading.Lock()

    def url(self) -> str:
        return self._identity.endpoint("object-store")

    def token(self) -> str:
        try:
            return self._identity.token()
        except IdentityProblem as error:
            status = getattr(error, "http_status", None)
            raise LoginFailed(f"login: {status or type(error).__name__}", status in (401, 403)) from error

    def renew(self, refused: str) -> None:
        with self._lock:
            if self.token() == refused:
                self._identity.renew()


def _problem(path: str, error: ClientException, attempt: int) -> StorageFailure | PathNotFound | StorageFull:
    if error.http_status == 404:
        return PathNotFound(path)
    if error.http_status in _FULL:
        return StorageFull(path, f"the store answers {error.http_status}")
    return Refused(path, error.http_status or 0, attempt=attempt)
