"""The page of an image: its layers, configuration and uses. A prefix of its id redirects to it."""

from __future__ import annotations

from flask import Blueprint, Response

from index_service.current import services
from index_service.pages.images import ImagePage
from index_service.web.request_context import actor
from index_service.web.responses import page, redirect_to, render_page, same_page

views = Blueprint("images", __name__)


@page(views, "/i/<image_id>", "/images/{image_id}")
def image(image_id: str) -> Response:
    whole = services().images.whole(actor(), image_id)
    if whole != image_id:
        return redirect_to(same_page(image_id=whole))
    return render_page(ImagePage.of(services().images.image(actor(), whole)), "images/image.html")
