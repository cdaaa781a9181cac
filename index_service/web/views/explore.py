"""The first page: what there is to find, and how to begin."""

from __future__ import annotations

from flask import Blueprint, Response

from index_service.pages.explore import ExplorePage
from index_service.web.asking import site
from index_service.web.showing import page, show

views = Blueprint("explore", __name__)


@page(views, "/", "/index.json")
def home() -> Response:
    return show(ExplorePage(site().host), "explore.html")
