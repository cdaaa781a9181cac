"""Search, which current daemons still request (protocol §2.6)."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, request

from common.errors import Invalid
from common.http import reply
from index_service.api.protocol_request import credential, protocol
from index_service.search.finder import MAX_PAGE, MAX_PAGE_SIZE, Hit, Query, ResultPage

DEFAULT_PAGE_SIZE = 25
MAX_LIST = 10_000
"""Of a list that is asked for without `n` and `page`: programs that read all repositories this way read one answer."""

MAX_QUERY = 255

_NAMESPACE = re.compile(r"([A-Za-z0-9_.-]{1,255})/")
_NUMBER = re.compile(r"-?[0-9]{1,9}")

views = Blueprint("search", __name__)


@views.get("/search")
@views.get("/search/")
def get_search() -> Response:
    """Repositories that match the words; all of them for an empty query, all of a namespace for `namespace/`.

    `is_more` says that more match than `num_results` counts.
    """
    text = _text()
    query, page = _find(text)
    return reply(
        {
            "query": text,
            "num_results": page.total,
            "is_more": page.is_more,
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


def _find(text: str) -> tuple[Query, ResultPage]:
    """What a query finds: `namespace/` lists the namespace, if the caller sees any repository there."""
    namespace = _NAMESPACE.fullmatch(text.strip())
    if namespace is not None:
        listing = _query("", namespace[1].lower())
        page = protocol().search(credential(), listing)
        if page.total:
            return listing, page
    query = _query(text)
    return query, protocol().search(credential(), query)


def _query(text: str, namespace: str = "") -> Query:
    page_size = DEFAULT_PAGE_SIZE if text.strip() or _is_paged() else MAX_LIST
    return Query(
        text=text,
        namespace=namespace,
        page=_number("page", 1, MAX_PAGE),
        page_size=_number("n", page_size, MAX_PAGE_SIZE),
    )


def _is_paged() -> bool:
    return any(request.args.get(name, "").strip() for name in ("n", "page"))


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
