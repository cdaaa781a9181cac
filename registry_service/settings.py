"""The registry's settings, complete or refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from common.settings import boolean, listed, load, one_of, seconds, secrets, setting, whole_number


def _index_url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} begins with neither http:// nor https://")
    return text.rstrip("/")


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Either `index_url` names the index that tokens are checked with, or `standalone` says there is none."""

    listen: str = setting(str, "host:port to listen on", "127.0.0.1:5001")
    workers: int = setting(whole_number(1), "worker processes", os.cpu_count() or 1)
    index_url: str = setting(_index_url, "the index that tokens are checked with, as http://host:port", "")
    standalone: bool = setting(
        boolean, "serve without an index: no accounts, no tokens, whoever reaches the port may push and pull", False
    )
    secret_keys: tuple[str, ...] = setting(
        secrets,
        "comma-separated keys that sign what this registry remembers of tokens; the first signs, all verify; "
        "registries that share them accept each other's; not needed standalone",
        (),
        secret=True,
    )
    storage: str = setting(str, "storage driver, by the name of its entry point", "filesystem")
    storage_path: str = setting(str, "root of the store", "var/registry")
    endpoints: tuple[str, ...] = setting(
        listed, "standalone: host:port list for X-Docker-Endpoints; empty means the request's Host", ()
    )
    grant_seconds: float = setting(seconds, "how long a checked token is believed until the index is asked again", 60.0)
    index_timeout: float = setting(seconds, "seconds the index may take to connect, and again to answer", 5.0)
    upload_seconds: float = setting(seconds, "age at which an unfinished push is swept away", 86400.0)
    idle_seconds: float = setting(seconds, "how long a client may neither send nor take a byte", 300.0)
    graceful_seconds: int = setting(whole_number(), "how long transfers may go on after SIGTERM", 600)
    trusted_proxies: int = setting(whole_number(), "proxies in front whose X-Forwarded-* headers are believed", 0)
    log_level: str = setting(one_of("debug", "info", "warning", "error"), "least level logged", "info")

    def __post_init__(self) -> None:
        if self.standalone and self.index_url:
            raise ValueError(
                "WHARFINGER_REGISTRY_STANDALONE and WHARFINGER_REGISTRY_INDEX_URL exclude each other: set one of them"
            )
        if not self.standalone and not self.index_url:
            raise ValueError(
                "WHARFINGER_REGISTRY_INDEX_URL is not set: name the index that checks tokens, "
                "or say WHARFINGER_REGISTRY_STANDALONE=true to serve without one"
            )
        if self.index_url and not self.secret_keys:
            raise ValueError(
                "WHARFINGER_REGISTRY_SECRET_KEYS is not set: give a key of 32 characters or more, "
                "made with: openssl rand -hex 32"
            )


def load_settings(environ: Mapping[str, str]) -> RegistrySettings:
    """Raises SettingsError."""
    return load(RegistrySettings, "registry", environ)
