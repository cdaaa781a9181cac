"""The pages that show what is made from what: a repository's lanes, an image's descent, the tree of all images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index_service.images.lanes import Block, Chart, kinds
from index_service.images.lineage import MAX_SHOWN_PLACES, Node, Place
from index_service.images.trees import Branch, shared
from index_service.pages import drawing
from index_service.pages.annotations import Pinned
from index_service.pages.drawing import LaneDrawing, TreeDrawing
from index_service.paging import Paging
from index_service.services.image_graph import Descent, Forest, Lanes
from index_service.services.summaries import RepositorySummary
from index_service.social.comments import CommentView


@dataclass(frozen=True, slots=True)
class LaneTold:
    """One tagged image with all its tags here."""

    image_id: str
    tags: list[str]
    total_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTold:
    """One layer: the lanes it belongs to, counted from 0, and tags of other repositories at it.

    `kind` is `empty` (it has no bytes), `elsewhere` (it came with another repository's image), `shared` or `own`.
    """

    image_id: str
    parent_id: str | None
    command: str
    size: int
    total_size: int
    lanes: list[int]
    kind: str
    elsewhere: list[Place]


@dataclass(frozen=True, slots=True)
class Segment:
    """Layers that the same lanes share, base first; then `tags` of an image that ends here, and where lanes part."""

    layers: list[LayerTold]
    tags: list[str]
    branches: list[Segment]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryGraphPage(Pinned):
    """`stored` are the bytes of all layers shown, `counted` those of all lanes if nothing were shared."""

    head: RepositorySummary
    lanes: list[LaneTold]
    layers: list[LayerTold]
    stored: int
    counted: int
    is_cut: bool
    annotations: list[CommentView]
    paging: Paging
    drawing: LaneDrawing
    segments: list[Segment]

    @classmethod
    def of(cls, lanes: Lanes, paging: Paging) -> RepositoryGraphPage:
        kind_of = kinds(lanes.chart, lanes.elsewhere)
        layers = {block.node.image_id: _layer(block, kind_of, lanes.elsewhere) for block in lanes.chart.blocks}
        return cls(
            head=lanes.head,
            lanes=[LaneTold(lane.image_id, lane.tags, lane.total_size) for lane in lanes.chart.lanes],
            layers=list(layers.values()),
            stored=lanes.stored,
            counted=lanes.counted,
            is_cut=lanes.is_cut,
            annotations=lanes.annotations,
            paging=paging.of(lanes.total),
            drawing=drawing.lanes(lanes.chart),
            segments=_segments(lanes.chart, layers),
        )

    @property
    def by_id(self) -> dict[str, LayerTold]:
        return {layer.image_id: layer for layer in self.layers}

    @property
    def saved(self) -> int:
        return max(self.counted - self.stored, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchTold:
    """One image of a tree. `layers` and `added` are what it brings beyond the image above it, itself included.

    `uses` is how many repositories have it, counted up to a hundred; `hidden` the number of descendants left out.
    """

    image_id: str
    command: str
    layers: int
    added: int
    total_size: int
    places: list[Place]
    place_count: int
    uses: int
    hidden: int
    branches: list[BranchTold]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPage:
    """The trees of all images that the reader may see, or of those of the repositories that a search for `query` finds,
    a page of roots at a time. `stored` are the bytes of all their layers, `shared` those of layers that several
    repositories have."""

    query: str
    trees: list[BranchTold]
    images: int
    stored: int
    shared: int
    is_cut: bool
    annotations: list[CommentView]
    paging: Paging
    drawing: TreeDrawing

    @classmethod
    def of(cls, query: str, forest: Forest, paging: Paging) -> GraphPage:
        trees = told(forest, forest.trees)
        return cls(
            query=query,
            trees=trees,
            images=forest.images,
            stored=forest.stored,
            shared=shared(forest.trees, forest.uses),
            is_cut=forest.is_cut,
            annotations=forest.annotations,
            paging=paging.of(forest.total),
            drawing=drawing.trees(forest.trees),
        )

    @property
    def by_id(self) -> dict[str, BranchTold]:
        return _flat(self.trees)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGraphPage:
    """An image's ancestors, its base first, and its descendants: what to rebuild when it changes."""

    image_id: str
    ancestors: list[Node]
    trees: list[BranchTold]
    images: int
    is_cut: bool
    annotations: list[CommentView]
    drawing: TreeDrawing

    @classmethod
    def of(cls, descent: Descent) -> ImageGraphPage:
        forest = descent.forest
        return cls(
            image_id=descent.image_id,
            ancestors=descent.ancestors[::-1],
            trees=told(forest, forest.trees),
            images=forest.images,
            is_cut=forest.is_cut,
            annotations=forest.annotations,
            drawing=drawing.trees(forest.trees),
        )

    @property
    def by_id(self) -> dict[str, BranchTold]:
        return _flat(self.trees)


def told(forest: Forest, branches: Sequence[Branch]) -> list[BranchTold]:
    """Trees for a page."""
    return [_branch(forest, branch) for branch in branches]


def _branch(forest: Forest, branch: Branch) -> BranchTold:
    node, places = branch.node, forest.places.get(branch.node.image_id, [])
    return BranchTold(
        image_id=node.image_id,
        command=node.command,
        layers=branch.layers,
        added=branch.added,
        total_size=node.total_size,
        places=places[:MAX_SHOWN_PLACES],
        place_count=len(places),
        uses=forest.uses.get(node.image_id, 0),
        hidden=branch.hidden,
        branches=told(forest, branch.branches),
    )


def _flat(branches: Sequence[BranchTold]) -> dict[str, BranchTold]:
    found: dict[str, BranchTold] = {}
    for branch in branches:
        found[branch.image_id] = branch
        found.update(_flat(branch.branches))
    return found


def _layer(block: Block, kind_of: Mapping[str, str], elsewhere: Mapping[str, list[Place]]) -> LayerTold:
    node = block.node
    return LayerTold(
        image_id=node.image_id,
        parent_id=node.parent_id,
        command=node.command,
        size=node.size,
        total_size=node.total_size,
        lanes=list(range(block.first, block.last + 1)),
        kind=kind_of[node.image_id],
        elsewhere=elsewhere.get(node.image_id, [])[:MAX_SHOWN_PLACES],
    )


def _segments(chart: Chart, layers: Mapping[str, LayerTold]) -> list[Segment]:
    """The list that says the same as the drawing: it branches where lanes part."""
    tags = {lane.image_id: lane.tags for lane in chart.lanes}
    children: dict[str | None, list[LayerTold]] = {}
    for layer in layers.values():
        parent = layer.parent_id if layer.parent_id in layers else None
        children.setdefault(parent, []).append(layer)
    return [_segment(layer, children, tags) for layer in children.get(None, [])]


def _segment(
    layer: LayerTold, children: Mapping[str | None, list[LayerTold]], tags: Mapping[str, list[str]]
) -> Segment:
    chain = [layer]
    while chain[-1].image_id not in tags and len(children.get(chain[-1].image_id, [])) == 1:
        chain.append(children[chain[-1].image_id][0])
    below = children.get(chain[-1].image_id, [])
    return Segment(chain, tags.get(chain[-1].image_id, []), [_segment(child, children, tags) for child in below])
