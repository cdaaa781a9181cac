"""One image: what it is made of, how it starts, where it is used."""

from __future__ import annotations

from flask import Blueprint, Response

from common.names import ImageId
from index_service.pages.images import ImagePage
from index_service.web.asking import actor, services
from index_service.web.showing import page, show

views = Blueprint("images", __name__)


@page(views, "/i/<image_id>")
def image(image_id: str) -> Response:
    found = services().images.image(actor(), ImageId(image_id))
    return show(ImagePage.of(found), "images/image.html")
