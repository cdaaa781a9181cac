"""The page of an image: its layers, configuration and uses. A prefix of its id redirects to it."""

from __future__ import annotations

from flask import Blueprint, Response

from index_service.pages.images import ImagePage
from index_service.web.asking import actor, services
from index_service.web.showing import go_on, page, same_page, show

views = Blueprint("images", __name__)


@page(views, "/i/<image_id>", "/images/{image_id}")
def image(image_id: str) -> Response:
    whole = services().images.whole(actor(), image_id)
    if whole != image_id:
        return go_on(same_page(image_id=whole))
    return show(ImagePage.of(services().images.image(actor(), whole)), "images/image.html")
