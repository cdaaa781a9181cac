"""A repository's graph in DOT, the language of Graphviz, for other drawings and computations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from index_service.pages.graph import LaneTold, LayerTold, RepositoryGraphPage

LONGEST_COMMAND = 80

_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def lanes(page: RepositoryGraphPage) -> str:
    """The layers as boxes, from each an arrow to what was made from it; the tags at the images they point at."""
    lines = [*_layers(page.layers), *_tags(page.lanes)]
    return "\n".join([f"digraph {_quoted(page.head.name)} {{", "  node [shape=box];", *lines, "}", ""])


def _layers(layers: Sequence[LayerTold]) -> Iterator[str]:
    known = {layer.image_id for layer in layers}
    for layer in layers:
        yield f"  {_quoted(layer.image_id)} [label={_quoted(_label(layer))}, bytes={layer.size}];"
        if layer.parent_id in known:
            yield f"  {_quoted(layer.parent_id)} -> {_quoted(layer.image_id)};"


def _tags(lanes: Sequence[LaneTold]) -> Iterator[str]:
    for lane in lanes:
        for tag in lane.tags:
            name = _quoted(f"tag {tag}")
            yield f"  {name} [label={_quoted(tag)}, shape=plaintext];"
            yield f"  {_quoted(lane.image_id)} -> {name} [style=dotted, arrowhead=none];"


def _label(layer: LayerTold) -> str:
    return f"{layer.image_id[:12]} {layer.command[:LONGEST_COMMAND]}".strip()


def _quoted(text: object) -> str:
    """What can be printed of a text that anybody may have written, as one string."""
    printable = "".join(character if character.isprintable() else " " for character in str(text))
    return f'"{printable.translate(_ESCAPED)}"'
