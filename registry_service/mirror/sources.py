"""Which namespace comes from where: the setting `mirror_sources`, complete or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from common.errors import Invalid
from common.names import RepositoryName

EVERY = "*"
"""The namespace of whatever no other source is named for."""


@dataclass(frozen=True, slots=True)
class MirrorSource:
    """A source: `url` is scheme://host[:port] of an index or of a registry alone; the rest is who asks, or empty."""

    namespace: str
    url: str
    user: str = ""
    password: str = field(default="", repr=False)


def read_sources(text: str) -> tuple[MirrorSource, ...]:
    """Read `NAMESPACE=URL` pairs, parted by blanks or commas; raises ValueError, which never holds a password."""
    sources = tuple(_read(item) for item in re.split(r"[\s,]+", text) if item)
    namespaces = [source.namespace for source in sources]
    for namespace in namespaces:
        if namespaces.count(namespace) > 1:
            raise ValueError(f"namespace {namespace!r} has two sources")
    return sources


def _read(item: str) -> MirrorSource:
    namespace, is_pair, url = item.partition("=")
    if not is_pair or "/" in namespace:
        raise ValueError(
            "each source is written as namespace=https://user:password@host, or *=https://host for the rest"
        )
    if namespace != EVERY:
        _require_namespace(namespace)
    return _parse(namespace, url)


def _require_namespace(namespace: str) -> None:
    try:
        RepositoryName.parse(f"{namespace}/name")
    except Invalid as error:
        raise ValueError(f"{namespace[:40]!r} is no namespace") from error


def _parse(namespace: str, url: str) -> MirrorSource:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        # The reason may quote the URL, and with it a password.
        raise ValueError(f"the source of {namespace!r} is no URL") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"the source of {namespace!r} begins with neither http:// nor https://, or names no host")
    if parts.path.rstrip("/") not in ("", "/v1") or parts.query or parts.fragment:
        raise ValueError(f"the source of {namespace!r} must be scheme://host:port, with nothing behind it")
    if bool(parts.username) != bool(parts.password):
        raise ValueError(f"the source of {namespace!r} needs both user and password, or neither")
    bracketed = f"[{host}]" if ":" in host else host
    netloc = bracketed if port is None else f"{bracketed}:{port}"
    return MirrorSource(
        namespace, f"{parts.scheme}://{netloc}", unquote(parts.username or ""), unquote(parts.password or "")
    )
