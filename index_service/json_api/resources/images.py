"""Images, and the image graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from index_service.images import lanes, trees
from index_service.images.image_metadata import Config
from index_service.images.lanes import Block
from index_service.images.lineage import MAX_SHOWN_PLACES, Node, Place
from index_service.images.trees import Branch
from index_service.json_api.resources.comments import Annotation
from index_service.json_api.resources.lists import Paging
from index_service.json_api.resources.summaries import RepositorySummary
from index_service.paging import Paging as Asked
from index_service.services import images
from index_service.services.image_graph import Descent, Forest, Lanes


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How a container of the image starts, and what the image says of itself."""

    comment: str
    container: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_directory: str
    user: str
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    on_build: tuple[str, ...]
    hostname: str
    stop_signal: str

    @classmethod
    def of(cls, config: Config) -> ImageConfig:
        return cls(
            comment=config.comment,
            container=config.container,
            entrypoint=tuple(config.entrypoint),
            command=tuple(config.command),
            environment=tuple(config.environment),
            working_directory=config.working_directory,
            user=config.user,
            ports=tuple(config.ports),
            volumes=tuple(config.volumes),
            labels=tuple(config.labels),
            on_build=tuple(config.on_build),
            hostname=config.hostname,
            stop_signal=config.stop_signal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One layer as a step of a Dockerfile; `places` are the tags that point at it."""

    image_id: str
    text: str
    size: int
    total_size: int
    created_at: datetime | None
    places: tuple[str, ...]

    @classmethod
    def of(cls, node: Node, places: Sequence[Place]) -> Step:
        return cls(
            image_id=node.image_id,
            text=node.command,
            size=node.size,
            total_size=node.total_size,
            created_at=node.created_at,
            places=tuple(map(str, places)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image; `steps` begin with its base. Metadata is missing while `is_known` is false. `places` are the tags that
    point at it, `uses` how many repositories have it, `children` how many images are made from it, `raw` its JSON.
    `checksums` are those that the registry verified."""

    image_id: str
    is_known: bool
    parent_id: str | None
    size: int
    total_size: int
    created_at: datetime | None
    author: str
    docker_version: str
    platform: str
    config: ImageConfig
    steps: tuple[Step, ...]
    checksums: tuple[str, ...]
    places: tuple[str, ...]
    repositories: tuple[str, ...]
    uses: int
    children: int
    annotations: tuple[Annotation, ...]
    raw: str

    @classmethod
    def of(cls, image: images.Image) -> Image:
        return cls(
            image_id=image.image_id,
            is_known=image.is_known,
            parent_id=image.parent_id,
            size=image.size,
            total_size=image.total_size,
            created_at=image.created_at,
            author=image.author,
            docker_version=image.docker_version,
            platform=image.platform,
            config=ImageConfig.of(image.config),
            steps=tuple(Step.of(node, image.places.get(node.image_id, ())) for node in reversed(image.layers)),
            checksums=tuple(image.checksums),
            places=tuple(map(str, image.places.get(image.image_id, ()))),
            repositories=tuple(map(str, image.repositories)),
            uses=image.uses,
            children=image.children,
            annotations=tuple(map(Annotation.of, image.annotations)),
            raw=image.raw,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """An image in an ancestry: `size` is its own layer's, `total_size` its whole ancestry's, both in bytes; `depth`
    counts the images below it."""

    image_id: str
    parent_id: str | None
    size: int
    total_size: int
    depth: int
    created_at: datetime | None
    command: str

    @classmethod
    def of(cls, node: Node) -> Ancestor:
        return cls(
            image_id=node.image_id,
            parent_id=node.parent_id,
            size=node.size,
            total_size=node.total_size,
            depth=node.depth,
            created_at=node.created_at,
            command=node.command,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One tagged image with all its tags in the repository."""

    image_id: str
    tags: tuple[str, ...]
    total_size: int

    @classmethod
    def of(cls, lane: lanes.Lane) -> Lane:
        return cls(image_id=lane.image_id, tags=tuple(lane.tags), total_size=lane.total_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: the lanes it belongs to, counted from 0, and tags of other repositories at it. `kind` is `empty` (it
    has no bytes), `elsewhere` (it came with another repository's image), `shared` or `own`."""

    image_id: str
    parent_id: str | None
    command: str
    size: int
    total_size: int
    lanes: tuple[int, ...]
    kind: str
    elsewhere: tuple[str, ...]

    @classmethod
    def of(cls, block: Block, kind: str, elsewhere: Sequence[Place]) -> Layer:
        return cls(
            image_id=block.node.image_id,
            parent_id=block.node.parent_id,
            command=block.node.command,
            size=block.node.size,
            total_size=block.node.total_size,
            lanes=tuple(range(block.first, block.last + 1)),
            kind=kind,
            elsewhere=tuple(map(str, elsewhere[:MAX_SHOWN_PLACES])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryGraph:
    """The layers of a repository's tagged images. `stored` are the bytes of all listed layers, `counted` those of all
    lanes if nothing were shared."""

    head: RepositorySummary
    lanes: tuple[Lane, ...]
    layers: tuple[Layer, ...]
    stored: int
    counted: int
    is_cut: bool
    annotations: tuple[Annotation, ...]
    paging: Paging

    @classmethod
    def of(cls, found: Lanes, asked: Asked) -> RepositoryGraph:
        """Raises NotFound for a page behind the last."""
        kinds = lanes.kinds(found.chart, found.elsewhere)
        layers = (
            Layer.of(block, kinds[block.node.image_id], found.elsewhere.get(block.node.image_id, ()))
            for block in found.chart.blocks
        )
        return cls(
            head=RepositorySummary.of(found.head),
            lanes=tuple(map(Lane.of, found.chart.lanes)),
            layers=tuple(layers),
            stored=found.stored,
            counted=found.counted,
            is_cut=found.is_cut,
            annotations=tuple(map(Annotation.of, found.annotations)),
            paging=Paging.of(asked.of(found.total)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTree:
    """An image and what was made from it. `layers` and `added` are what it brings beyond the image above it, itself
    included; `uses` is how many repositories have it, counted up to a hundred; `hidden` how many descendants are left
    out here; `place_count` how many tags point at it, of which `places` are the first."""

    image_id: str
    command: str
    layers: int
    added: int
    total_size: int
    places: tuple[str, ...]
    place_count: int
    uses: int
    hidden: int
    branches: tuple[ImageTree, ...]

    @classmethod
    def of(cls, forest: Forest, branch: Branch) -> ImageTree:
        node, places = branch.node, forest.places.get(branch.node.image_id, ())
        return cls(
            image_id=node.image_id,
            command=node.command,
            layers=branch.layers,
            added=branch.added,
            total_size=node.total_size,
            places=tuple(map(str, places[:MAX_SHOWN_PLACES])),
            place_count=len(places),
            uses=forest.uses.get(node.image_id, 0),
            hidden=branch.hidden,
            branches=tuple(cls.of(forest, below) for below in branch.branches),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGraph:
    """The trees of all images that the caller may see, or of those of the repositories that a search for `query` finds.
    `stored` are the bytes of all their layers, `shared` those of layers that several repositories have."""

    query: str
    trees: tuple[ImageTree, ...]
    images: int
    stored: int
    shared: int
    is_cut: bool
    annotations: tuple[Annotation, ...]
    paging: Paging

    @classmethod
    def of(cls, query: str, forest: Forest, asked: Asked) -> ImageGraph:
        """Raises NotFound for a page behind the last."""
        return cls(
            query=query,
            trees=tuple(ImageTree.of(forest, branch) for branch in forest.trees),
            images=forest.images,
            stored=forest.stored,
            shared=trees.shared(forest.trees, forest.uses),
            is_cut=forest.is_cut,
            annotations=tuple(map(Annotation.of, forest.annotations)),
            paging=Paging.of(asked.of(forest.total)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Descendants:
    """What an image is made from, its base first, and what was made from it: what to rebuild when it changes."""

    image_id: str
    ancestors: tuple[Ancestor, ...]
    trees: tuple[ImageTree, ...]
    images: int
    is_cut: bool
    annotations: tuple[Annotation, ...]

    @classmethod
    def of(cls, descent: Descent) -> Descendants:
        forest = descent.forest
        return cls(
            image_id=descent.image_id,
            ancestors=tuple(map(Ancestor.of, reversed(descent.ancestors))),
            trees=tuple(ImageTree.of(forest, branch) for branch in forest.trees),
            images=forest.images,
            is_cut=forest.is_cut,
            annotations=tuple(map(Annotation.of, forest.annotations)),
        )
