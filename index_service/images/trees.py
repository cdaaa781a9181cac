"""Trees of related images: long chains without tags are folded into the image they end in.

Images with a tag, with several children, or without any are kept; what lies between two of them becomes a number of
layers and their bytes. A tree deeper than `MAX_LEVEL` is cut there, each cut marked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from index_service.images.lineage import Node

MAX_LEVEL = 30


@dataclass(frozen=True, slots=True)
class Branch:
    """One image of a tree. `layers` and `added` are what it brings beyond the image above it, itself included.

    `hidden` is how many of its descendants are not shown because the tree is cut here.
    """

    node: Node
    layers: int
    added: int
    branches: list[Branch] = field(default_factory=list)
    hidden: int = 0

    @property
    def leaves(self) -> int:
        """How many ends the tree has from here on."""
        return sum(branch.leaves for branch in self.branches) or 1

    def walk(self, level: int = 0) -> list[tuple[int, Branch]]:
        """This and all below, each with its level, in the order of a list."""
        found = [(level, self)]
        for branch in self.branches:
            found += branch.walk(level + 1)
        return found


def shared(trees: Sequence[Branch], uses: Mapping[str, int]) -> int:
    """The bytes of the layers that several repositories have; `uses` counts them by image."""
    branches = {branch.node.image_id: branch for tree in trees for _, branch in tree.walk()}
    return sum(branch.added for image_id, branch in branches.items() if uses.get(image_id, 0) > 1)


def grow(nodes: Sequence[Node], kept: Collection[str]) -> list[Branch]:
    """The trees of a family, the images in `kept` never folded; the biggest first."""
    known = {node.image_id: node for node in nodes}
    children: dict[str, list[Node]] = defaultdict(list)
    tops = []
    for node in nodes:
        if node.parent_id in known:
            children[node.parent_id or ""].append(node)
        else:
            tops.append(node)
    weights = _weights(nodes, children)
    return [_branch(top, children, kept, weights, 0) for top in _heaviest_first(tops, weights)]


def _branch(
    top: Node,
    children: Mapping[str, list[Node]],
    kept: Collection[str],
    weights: Mapping[str, int],
    level: int,
) -> Branch:
    node, layers, added = top, 1, top.size
    while node.image_id not in kept and level > 0 and len(below := children.get(node.image_id, [])) == 1:
        node, layers, added = below[0], layers + 1, added + below[0].size
    if level >= MAX_LEVEL:
        return Branch(node, layers, added, hidden=weights[node.image_id] - 1)
    below = _heaviest_first(children.get(node.image_id, []), weights)
    return Branch(node, layers, added, [_branch(child, children, kept, weights, level + 1) for child in below])


def _weights(nodes: Sequence[Node], children: Mapping[str, list[Node]]) -> dict[str, int]:
    """How many images each stands for: itself and all that descend from it."""
    weights: dict[str, int] = {}
    for node in reversed(_parents_first(nodes, children)):
        weights[node.image_id] = 1 + sum(weights[child.image_id] for child in children.get(node.image_id, ()))
    return weights


def _parents_first(nodes: Sequence[Node], children: Mapping[str, list[Node]]) -> list[Node]:
    known = {node.image_id for node in nodes}
    ordered = [node for node in nodes if node.parent_id not in known]
    for node in ordered:
        ordered.extend(children.get(node.image_id, ()))
    return ordered


def _heaviest_first(nodes: Sequence[Node], weights: Mapping[str, int]) -> list[Node]:
    return sorted(nodes, key=lambda node: (-weights[node.image_id], node.image_id))
