"""Images: what they are, what they are made from, what was made from them."""

from __future__ import annotations

from flask import request

from common.names import ImageId, RepositoryName
from index_service.images.lineage import Node
from index_service.json_api.answers import All
from index_service.json_api.asking import actor, services
from index_service.json_api.routes import Param, Routes, argument, paged
from index_service.pages import paging
from index_service.pages.graph import GraphPage, ImageGraphPage, RepositoryGraphPage
from index_service.pages.images import ImagePage
from index_service.services.image_graph import LANES_AT_ONCE, ROOTS_AT_ONCE

routes = Routes("images")


@routes.get("/repositories/<named:repository>/@graph", query=paged())
def get_repository_graph(repository: str) -> RepositoryGraphPage:
    """The layers of a repository's tags, a page of tagged images at a time. Each of these is a lane, and a layer that
    several share is told once, with all its lanes."""
    name, asked = RepositoryName.parse(repository), paging.asked(request.args, size=LANES_AT_ONCE)
    lanes = services().image_graph.lanes(actor(), name, asked.offset)
    return RepositoryGraphPage.of(lanes, asked)


@routes.get("/images/<image_id>")
def get_image(image_id: str) -> ImagePage:
    """An image: its config, its layers as steps of a Dockerfile, and where it is used."""
    return ImagePage.of(services().images.image(actor(), ImageId(image_id)))


@routes.get("/images/<image_id>/ancestry")
def list_ancestry(image_id: str) -> All[Node]:
    """What an image is made from: the image first, its base last."""
    return All.of(services().images.image(actor(), ImageId(image_id)).layers)


@routes.get("/images/<image_id>/descendants")
def get_descendants(image_id: str) -> ImageGraphPage:
    """What was made from an image: what to build anew when it changes."""
    return ImageGraphPage.of(services().image_graph.descent(actor(), ImageId(image_id)))


@routes.get("/graph", query=(Param("q", "Only images of the repositories that a search for this finds."), *paged()))
def get_graph() -> GraphPage:
    """All images the caller may see, as trees, a page of bases at a time."""
    asked, words = paging.asked(request.args, size=ROOTS_AT_ONCE), argument("q")
    return GraphPage.of(words, services().image_graph.forest(actor(), asked.offset, words), asked)
