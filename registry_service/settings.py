"""The registry's settings, complete or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.cors import origins
from common.settings import address, boolean, listed, load, one_of, seconds, secrets, setting, url, urls, whole_number
from registry_service.mirror.sources import MirrorSource, read_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Either `index_url` names the index that tokens are checked with, or `standalone` says there is none."""

    listen: str = setting(str, "Address to listen on, host:port.", "127.0.0.1:5001")
    workers: int = setting(whole_number(1), "Number of worker processes.", 2)
    index_url: str = setting(
        urls,
        "URL of the index that verifies tokens, as http://host:port; or those of its processes, separated by commas: "
        "where one cannot be reached the next is asked.",
        "",
    )
    index_public_url: str = setting(
        url,
        "URL of the index as clients of /v2/ reach it, to get tokens there; empty means the host that the client named "
        "where proxies are trusted (trusted_proxies), which sends them to the index, and else the first index_url.",
        "",
    )
    standalone: bool = setting(
        boolean, "Serve without an index: no accounts; anyone who can reach the port may push and pull.", False
    )
    secret_keys: tuple[str, ...] = setting(
        secrets,
        "Comma-separated keys that sign grants, each at least 32 characters; the first signs, all verify. "
        "Registries that share them accept each other's grants. Not needed standalone.",
        (),
        secret=True,
    )
    storage: str = setting(str, "Storage driver: the name of its entry point.", "filesystem")
    storage_path: str = setting(str, "Root path within the store; for files, an existing directory.", "var/registry")
    redis_url: str = setting(
        str,
        "Redis cache of immutable contents, shared by all registries of one store: redis://host:port/0.",
        "",
        secret=True,
    )
    delivery: str = setting(
        one_of("direct", "redirect", "nginx"),
        "Who sends layers: direct (the registry), redirect (the store, by signed URL, where it supports one and TLS is "
        "kept), nginx (the nginx in front, from the store's files or its cache).",
        "direct",
    )
    endpoints: tuple[str, ...] = setting(
        listed, "Standalone only: comma-separated host:port for X-Docker-Endpoints; empty means the request's Host.", ()
    )
    hosts: tuple[str, ...] = setting(
        listed,
        "Standalone only: comma-separated names by which clients reach the registry, besides those of endpoints, IP "
        "addresses, names without a dot and this machine's; others are refused, since a web page could rebind its own. "
        "* allows any.",
        (),
    )
    grant_seconds: float = setting(
        seconds, "Lifetime of a grant, in seconds: how long a verified token is trusted without the index.", 60.0
    )
    index_timeout: float = setting(
        seconds, "Timeout to connect to the index, and to read its response, in seconds.", 5.0
    )
    upload_seconds: float = setting(seconds, "Age at which an unfinished push is deleted, in seconds.", 86400.0)
    idle_seconds: float = setting(seconds, "Idle timeout of a client connection, in seconds.", 300.0)
    graceful_seconds: int = setting(
        whole_number(), "Graceful shutdown: seconds that transfers may continue after SIGTERM.", 600
    )
    mirror_sources: tuple[MirrorSource, ...] = setting(
        read_sources,
        "Sources to mirror: NAMESPACE=URL pairs separated by spaces or commas, such as "
        "acme=https://user:password@registry.example; *=URL is for all other namespaces.",
        (),
        secret=True,
    )
    mirror_tag_seconds: float = setting(
        seconds, "TTL of a mirrored repository's tags, in seconds, before they are compared with the source.", 60.0
    )
    mirror_timeout: float = setting(
        seconds, "Read timeout of a source, in seconds; the connect timeout is at most 5 of them.", 20.0
    )
    mirror_proxy: str = setting(
        url,
        "HTTP proxy to sources, http://[user:password@]host:port, except to the hosts of NO_PROXY; empty means what "
        "HTTP_PROXY and HTTPS_PROXY say.",
        "",
        secret=True,
    )
    trusted_proxies: int = setting(
        whole_number(), "Number of reverse proxies whose X-Forwarded-* headers are trusted.", 0
    )
    cors_origins: tuple[str, ...] = setting(
        origins,
        "Comma-separated origins of web pages that may use the v1 protocol from a browser, as https://ui.example; "
        "* lets any page read. Empty: none.",
        (),
    )
    access_log: str = setting(
        one_of("off", "common", "json"),
        "Access log, a line for each request: off, common (the Common Log Format) or json.",
        "off",
    )
    access_log_file: str = setting(
        str, "File that the access log is appended to, opened again at SIGUSR1; empty means standard output.", ""
    )
    metrics_listen: str = setting(
        address,
        "Address at which Prometheus reads metrics, host:port, as 127.0.0.1:5091: /metrics, of all workers, for "
        "whoever reaches it. Empty: none are kept.",
        "",
    )
    log_level: str = setting(one_of("debug", "info", "warning", "error"), "Lowest level to log.", "info")

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
