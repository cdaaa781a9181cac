"""Images: what they are, what they are made from, what was made from them."""

from __future__ import annotations

from flask import request

from common.names import ImageId, RepositoryName
from index_service import paging
from index_service.current import services
from index_service.json_api.requester import actor
from index_service.json_api.resources.images import Ancestor, Descendants, Image, ImageGraph, RepositoryGraph
from index_service.json_api.resources.lists import List
from index_service.json_api.routes import Param, Routes, argument, paged
from index_service.services.image_graph import LANES_AT_ONCE, ROOTS_AT_ONCE

routes = Routes("images")


@routes.get("/repositories/<named:repository>/@graph", query=paged())
def get_repository_graph(repository: str) -> RepositoryGraph:
    """Get the layers of a repository's tags, a page of tagged images at a time. Each image is a lane, and a layer that
    several share stands once, with all its lanes."""
    name, asked = RepositoryName.parse(repository), paging.asked(request.args, size=LANES_AT_ONCE)
    lanes = services().image_graph.lanes(actor(), name, asked.offset)
    return RepositoryGraph.of(lanes, asked)


@routes.get("/images/<image_id>")
def get_image(image_id: str) -> Image:
    """Get an image: its config, its layers as steps of a Dockerfile, and where it is used."""
    return Image.of(services().images.image(actor(), ImageId(image_id)))


@routes.get("/images/<image_id>/ancestry")
def list_ancestry(image_id: str) -> List[Ancestor]:
    """List the ancestry of an image: the image first, its base last."""
    return List.of(map(Ancestor.of, services().images.image(actor(), ImageId(image_id)).layers))


@routes.get("/images/<image_id>/descendants")
def get_descendants(image_id: str) -> Descendants:
    """Get the descendants of an image: what to rebuild when it changes."""
    return Descendants.of(services().image_graph.descent(actor(), ImageId(image_id)))


@routes.get("/graph", query=(Param("q", "Only images of the repositories that a search for this finds."), *paged()))
def get_graph() -> ImageGraph:
    """Get all images that the caller may see as trees, a page of base images at a time."""
    asked, words = paging.asked(request.args, size=ROOTS_AT_ONCE), argument("q")
    return ImageGraph.of(words, services().image_graph.forest(actor(), asked.offset, words), asked)
