"""Logins at other registries: of the environment, or of the file where `docker login` and `skopeo login` keep them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import Invalid

USER = "WHARFINGER_EXPORT_USER"
PASSWORD = "WHARFINGER_EXPORT_PASSWORD"
FILE = "REGISTRY_AUTH_FILE"
"""As for Skopeo, Podman and Buildah."""


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def login_at(host: str, environ: Mapping[str, str]) -> Login | None:
    """The login at a host, with its port if it has one; None for nobody. Raises Invalid."""
    user, password = environ.get(USER, ""), environ.get(PASSWORD, "")
    if bool(user) != bool(password):
        raise Invalid(f"Set both {USER} and {PASSWORD}, or neither")
    if user:
        return Login(user, password)
    if environ.get(FILE):
        return _login_in(Path(environ[FILE]), host)
    found = (_login_in(path, host) for path in _files(environ) if path.exists())
    return next(filter(None, found), None)


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Skopeo's own file, then Docker's."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    yield Path(runtime, "containers") / "auth.json" if runtime else Path(f"/run/containers/{os.getuid()}/auth.json")
    yield Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "/", ".docker"), "config.json")


def _login_in(path: Path, host: str) -> Login | None:
    try:
        logins = json.loads(path.read_bytes()).get("auths", {})
        kept: dict[str, Any] = next((each for name, each in logins.items() if _host_of(name) == host), {})
        return _decoded(kept.get("auth"))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, TypeError, RecursionError):
        # Without the cause, which may quote what is in the file.
        raise Invalid(f"{path} is no file of logins as Docker and Skopeo write them") from None


def _host_of(name: str) -> str:
    """Docker names the oldest by URLs."""
    return name.partition("://")[2].partition("/")[0] if "://" in name else name


def _decoded(auth: str | None) -> Login | None:
    """None also where a helper of Docker's keeps the password."""
    with suppress(UnicodeDecodeError):
        user, colon, password = base64.b64decode(auth or "", validate=True).decode().partition(":")
        return Login(user, password) if colon else None
    return None
