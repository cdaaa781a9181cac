"""Tagged images side by side: one lane for each, and what several are based on as one block across their lanes.

Every image has at most one parent, so lanes can be ordered such that all that share a layer are neighbours: a layer is
one block, never two.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index_service.images.lineage import Node, Place, is_empty

LOWEST = 1.0
"""The height of a layer without bytes; one with bytes is higher by the logarithm of how many."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One image that tags point at; `tags` in their natural order, `level` is where it ends, in heights."""

    image_id: str
    tags: list[str]
    total_size: int
    level: float


@dataclass(frozen=True, slots=True)
class Block:
    """One layer: it crosses the lanes `first` to `last`, and begins `top` under the base of all, in heights."""

    node: Node
    first: int
    last: int
    top: float
    height: float

    @property
    def lanes(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Chart:
    """Lanes and blocks; `height` is that of the highest pile. The blocks begin with the base, from left to right."""

    lanes: list[Lane]
    blocks: list[Block]
    height: float


def chart(nodes: Sequence[Node], tags: Mapping[str, list[str]]) -> Chart:
    """Lay out the ancestries of tagged images, `tags` by image.

    Lanes keep the order of `tags` as far as sharing lets them.
    """
    known = {node.image_id: node for node in nodes}
    children: dict[str | None, list[Node]] = defaultdict(list)
    for node in nodes:
        children[node.parent_id if node.parent_id in known else None].append(node)
    rank = _ranks(children, {image_id: place for place, image_id in enumerate(tags)})
    return _laid_out(children, rank, tags)


def height(size: int) -> float:
    """The height at which a layer of this size is drawn."""
    return LOWEST + (0.0 if is_empty(size) else math.log2(1 + size / 4096) / 4)


def _ranks(children: Mapping[str | None, list[Node]], places: Mapping[str, int]) -> dict[str, int]:
    """Of each image the foremost lane that is based on it."""
    ordered = list(children[None])
    for node in ordered:
        ordered.extend(children.get(node.image_id, ()))
    ranks: dict[str, int] = {}
    for node in reversed(ordered):
        below = [ranks[child.image_id] for child in children.get(node.image_id, ())]
        ranks[node.image_id] = min([*below, places.get(node.image_id, len(places))])
    return ranks


def _laid_out(
    children: Mapping[str | None, list[Node]], rank: Mapping[str, int], tags: Mapping[str, list[str]]
) -> Chart:
    """Walk down every pile; a block ends when all that stands under it is laid out."""
    lanes: list[Lane] = []
    blocks: list[Block] = []
    deepest = 0.0
    waiting: list[tuple[Node, float, int | None]] = [(node, 0.0, None) for node in _ordered(children[None], rank)]
    while waiting:
        node, top, begun = waiting.pop()
        bottom = top + height(node.size)
        if begun is None:
            begun = len(lanes)
            if node.image_id in tags:
                lanes.append(Lane(node.image_id, tags[node.image_id], node.total_size, bottom))
            waiting.append((node, top, begun))
            waiting.extend((child, bottom, None) for child in _ordered(children.get(node.image_id, []), rank))
        elif begun < len(lanes):
            blocks.append(Block(node, begun, len(lanes) - 1, top, height(node.size)))
            deepest = max(deepest, bottom)
    return Chart(lanes, sorted(blocks, key=lambda block: (block.top, block.first)), deepest)


def _ordered(nodes: Sequence[Node], rank: Mapping[str, int]) -> list[Node]:
    """The foremost last, because what is put in last is taken out first."""
    return sorted(nodes, key=lambda node: (rank[node.image_id], node.image_id), reverse=True)


def kinds(chart: Chart, elsewhere: Mapping[str, list[Place]]) -> dict[str, str]:
    """What each layer is; it came from elsewhere if something based on it is tagged there."""
    known = {block.node.image_id: block for block in chart.blocks}
    foreign: set[str] = set()
    for image_id in elsewhere:
        at = known.get(image_id)
        while at is not None and at.node.image_id not in foreign:
            foreign.add(at.node.image_id)
            at = known.get(at.node.parent_id or "")
    return {image_id: _kind(block, image_id in foreign) for image_id, block in known.items()}


def _kind(block: Block, is_foreign: bool) -> str:
    if block.node.is_empty:
        return "empty"
    if is_foreign:
        return "elsewhere"
    return "shared" if block.lanes > 1 else "own"
