"""Search, which current daemons still request (protocol §2.6)."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, request

from common.errors import Invalid
from common.http import reply
from index_service.api.protocol_request import credential, protocol
from index_service.search.finder import MAX_PAGE, MAX_PAGE_SIZE, Hit, Query

DEFAULT_PAGE_SIZE = 25
MAX_QUERY = 255

_PODMAN = re.compile(r"(containers|libpod|podman|buildah|skopeo)/", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,9}")

views = Blueprint("search", __name__)


def greet_podman() -> Response | None:
    """Podman probes for v2 first and searches by /v1/search only if it finds one; it speaks no other v1.

    Daemons must not find one (protocol §0.2).
    """
    if request.path in ("/v2/", "/v2") and _PODMAN.match(request.headers.get("User-Agent", "")):
        return reply({})
    return None


@views.get("/search")
@views.get("/search/")
def get_search() -> Response:
    """Repositories that match the words; all of them for an empty query."""
    query = Query(
        text=_text(), page=_number("page", 1, MAX_PAGE), page_size=_number("n", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    )
    page = protocol().search(credential(), query)
    return reply(
        {
            "query": query.text,
            "num_results": page.total,
            "num_pages": page.pages(query.page_size),
            "page": query.page,
            "page_size": query.page_size,
            "results": [_result(hit) for hit in page.hits],
        }
    )


def _result(hit: Hit) -> dict[str, Any]:
    return {
        "name": hit.name,
        "description": hit.description,
        "star_count": hit.star_count,
        "is_official": hit.is_official,
        "is_automated": False,
        "is_trusted": False,
    }


def _text() -> str:
    text = request.args.get("q", "")
    if len(text) > MAX_QUERY:
        raise Invalid(f"q is longer than {MAX_QUERY} characters")
    return text


def _number(name: str, default: int, most: int) -> int:
    """Numbers out of range are clamped; anything else is refused."""
    text = request.args.get(name, "").strip()
    if not text:
        return default
    if _NUMBER.fullmatch(text) is None:
        raise Invalid(f"{name} is not a number")
    return min(max(int(text), 1), most)
