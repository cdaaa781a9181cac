"""Lists of `/v2/`: a repository's tags, what refers to a manifest, and the repositories of a standalone registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from wsgiref.types import WSGIEnvironment

from common.distribution import PREFIX, NameUnknown, next_page, page_size
from common.errors import NotFound
from common.names import RepositoryName, Tag
from registry_service.api.delivery import Answer
from registry_service.services import Registry

PAGE, MAX_PAGE = 1000, 10_000
CATALOGUE_PAGE, MAX_CATALOGUE_PAGE = 100, 1000

_INDEX = "application/vnd.oci.image.index.v1+json"
_NO_REFERRERS = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": []}


def tags(environ: WSGIEnvironment, registry: Registry, name: RepositoryName, asked: str) -> Answer:
    """The tags that clients of `/v2/` can name: one that they cannot breaks `docker pull -a`."""
    try:
        known = registry.tags.all(name)
    except NotFound as error:
        raise NameUnknown("There is no such repository") from error
    named = sorted(tag for tag in known if Tag(tag).is_creatable)
    page, link = _page(environ, named, f"{PREFIX}/{asked}/tags/list", PAGE, MAX_PAGE)
    return as_json(environ, {"name": asked, "tags": page}, link)


def catalogue(environ: WSGIEnvironment, registry: Registry) -> Answer:
    """The public repositories with a tag of a registry that stands alone."""
    if registry.index is not None:
        raise NameUnknown("The index has the catalogue")
    names = sorted(map(str, registry.repositories.search("")))
    page, link = _page(environ, names, f"{PREFIX}/_catalog", CATALOGUE_PAGE, MAX_CATALOGUE_PAGE)
    return as_json(environ, {"repositories": page}, link)


def referrers(environ: WSGIEnvironment) -> Answer:
    """None: nothing in a store of v1 refers to a manifest. A 404 would cost clients another request."""
    return as_json(environ, _NO_REFERRERS, content_type=_INDEX)


def base(environ: WSGIEnvironment) -> Answer:
    return as_json(environ, {})


def parameters(environ: WSGIEnvironment) -> dict[str, str]:
    """The query, the last value of each key; what is not text in it is replaced."""
    pairs = (pair.partition("=") for pair in environ.get("QUERY_STRING", "").split("&") if pair)
    return {_decoded(key): _decoded(value) for key, _, value in pairs}


def as_json(
    environ: WSGIEnvironment,
    data: Any,
    extra: Mapping[str, str] | None = None,
    content_type: str = "application/json",
    status: str = "200 OK",
) -> Answer:
    body = json.dumps(data).encode()
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-cache")]
    return Answer(status, [*headers, *(extra or {}).items()], () if environ["REQUEST_METHOD"] == "HEAD" else (body,))


def _page(
    environ: WSGIEnvironment, names: Sequence[str], path: str, default: int, most: int
) -> tuple[Sequence[str], dict[str, str]]:
    query = parameters(environ)
    size, last = page_size(query.get("n"), default, most), query.get("last")
    rest = [name for name in names if not last or name > last]
    return rest[:size], next_page(quote(path), rest, size)


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")
