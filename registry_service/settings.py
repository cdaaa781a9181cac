"""The registry's settings, complete or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.settings import boolean, listed, load, one_of, seconds, secrets, setting, whole_number
from registry_service.mirror.sources import MirrorSource, read_sources


def _index_url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} begins with neither http:// nor https://")
    return text.rstrip("/")


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Either `index_url` names the index that tokens are checked with, or `standalone` says there is none."""

    listen: str = setting(str, "Where the registry listens, host:port.", "127.0.0.1:5001")
    workers: int = setting(whole_number(1), "Processes that serve.", 2)
    index_url: str = setting(_index_url, "The index that tokens are checked with, as http://host:port.", "")
    standalone: bool = setting(
        boolean, "Serve without an index: no accounts; whoever reaches the port may push and pull.", False
    )
    secret_keys: tuple[str, ...] = setting(
        secrets,
        "Comma-separated keys that sign grants, 32 characters or more each; the first signs, all verify. "
        "Registries that share them accept each other's grants. Not needed standalone.",
        (),
        secret=True,
    )
    storage: str = setting(str, "Storage driver, by the name of its entry point.", "filesystem")
    storage_path: str = setting(str, "Root of the store, an existing folder.", "var/registry")
    redis_url: str = setting(
        str,
        "Redis that remembers what never changes, for all registries before one store: redis://host:port/0.",
        "",
        secret=True,
    )
    delivery: str = setting(
        one_of("direct", "redirect", "nginx"),
        "Who sends layers: direct (this registry), redirect (the store, by signed URL, where it has one and no TLS is "
        "lost), nginx (the one in front, from the store's files or from its cache).",
        "direct",
    )
    endpoints: tuple[str, ...] = setting(
        listed, "Standalone only: what X-Docker-Endpoints says, host:port each; empty means the request's Host.", ()
    )
    grant_seconds: float = setting(
        seconds, "How long a checked token is believed before the index is asked again.", 60.0
    )
    index_timeout: float = setting(seconds, "Seconds the index may take to connect, and again to answer.", 5.0)
    upload_seconds: float = setting(seconds, "Age at which an unfinished push is swept away.", 86400.0)
    idle_seconds: float = setting(seconds, "How long a client may neither send nor take a byte.", 300.0)
    graceful_seconds: int = setting(whole_number(), "How long transfers may go on after SIGTERM.", 600)
    mirror_sources: tuple[MirrorSource, ...] = setting(
        read_sources,
        "What this registry is a mirror of: NAMESPACE=URL pairs parted by blanks or commas, as "
        "acme=https://user:password@registry.example; *=URL is for every other namespace.",
        (),
        secret=True,
    )
    mirror_tag_seconds: float = setting(
        seconds, "How long a mirrored repository's tags are believed before its source is asked again.", 60.0
    )
    mirror_timeout: float = setting(seconds, "Seconds a source may be silent; to connect, 5 of them at most.", 20.0)
    trusted_proxies: int = setting(whole_number(), "Proxies in front whose X-Forwarded-* headers are believed.", 0)
    log_level: str = setting(one_of("debug", "info", "warning", "error"), "Least level logged.", "info")

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
