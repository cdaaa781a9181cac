"""The layout of the graph's drawings in pixels, without colours or texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from index_service.images.lanes import Block, Chart, Lane
from index_service.images.trees import Branch

UNIT = 26.0
"""The height of a layer without bytes."""

GAP = 6.0
MARGIN = 12.0
CHIP = 24.0
TAGS_SHOWN = 4
WIDE, NARROW = 300.0, 148.0
FULL_WIDTH = 1094.0

LETTER, LARGE_LETTER = 6.95, 7.6
"""The width of a letter in the drawings' two sizes of type."""

COLUMN, ROW = 236.0, 58.0
BOX_WIDTH, BOX_HEIGHT = 176.0, 44.0
BRANCHES_DRAWN = 300


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Position and size of a block, a lane's tag, or a branch."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class DrawnBlock:
    """A layer across its lanes, with room for `lines` lines."""

    block: Block
    box: Rectangle
    lines: int


@dataclass(frozen=True, slots=True)
class DrawnTag:
    """One tag under its lane, or the number of `more` that do not fit."""

    lane: Lane
    tag: str
    more: int
    box: Rectangle


@dataclass(frozen=True, slots=True)
class LaneDrawing:
    """A whole chart."""

    width: float
    height: float
    blocks: list[DrawnBlock]
    tags: list[DrawnTag]
    moorings: list[Rectangle]


@dataclass(frozen=True, slots=True)
class DrawnBranch:
    """One image of a tree. `stroke` is how wide the line to it is, by the bytes it adds; `path` is that line."""

    branch: Branch
    box: Rectangle
    path: str
    stroke: float


@dataclass(frozen=True, slots=True)
class TreeDrawing:
    """Trees one under the other; `left_out` is how many of their branches are not drawn."""

    width: float
    height: float
    branches: list[DrawnBranch]
    left_out: int


def lanes(chart: Chart) -> LaneDrawing:
    """Lanes side by side, as wide as the page allows."""
    count = len(chart.lanes) or 1
    lane = min(max(FULL_WIDTH / count, NARROW), WIDE)
    blocks = [_block(block, lane) for block in chart.blocks]
    tags = [tag for number, one in enumerate(chart.lanes) for tag in _tags(one, number, lane)]
    moorings = [_mooring(one, number, lane) for number, one in enumerate(chart.lanes)]
    bottom = max([chart.height * UNIT, *(tag.box.y + tag.box.height for tag in tags)], default=0.0)
    return LaneDrawing(2 * MARGIN + lane * count - GAP, bottom + MARGIN, blocks, tags, moorings)


def trees(grown: Sequence[Branch]) -> TreeDrawing:
    """Trees that grow from left to right; every end has a row of its own."""
    drawn: list[DrawnBranch] = []
    row = 0.0
    for tree in grown:
        row = _draw(tree, 0, row, None, drawn)
    width = max((one.box.x + one.box.width for one in drawn), default=0.0) + MARGIN
    total = sum(len(tree.walk()) for tree in grown)
    height = max((one.box.y + one.box.height for one in drawn), default=0.0) + MARGIN
    return TreeDrawing(width, height, drawn, total - len(drawn))


def length(text: str, letter: float = LETTER) -> float:
    """The approximate width of a text in pixels; East Asian characters count twice."""
    return sum(letter * (2 if east_asian_width(char) in "WF" else 1) for char in text)


def fit(text: str, width: float, letter: float = LETTER) -> str:
    """A text truncated to a width in pixels."""
    line = " ".join(text.split())
    used = 0.0
    for number, char in enumerate(line):
        used += length(char, letter)
        if used > width:
            return line[: max(number - 1, 0)] + "…"
    return line


def fit_end(text: str, width: float, letter: float = LETTER) -> str:
    """A text truncated at its start, for names: tags usually differ at their ends."""
    return fit(text[::-1], width, letter)[::-1]


def _block(block: Block, lane: float) -> DrawnBlock:
    box = Rectangle(
        MARGIN + block.first * lane,
        MARGIN + block.top * UNIT,
        block.lanes * lane - GAP,
        block.height * UNIT - 3,
    )
    return DrawnBlock(block, box, 2 if box.height >= 38 else 1)


def _tags(lane: Lane, number: int, width: float) -> list[DrawnTag]:
    shown = lane.tags if len(lane.tags) <= TAGS_SHOWN else lane.tags[: TAGS_SHOWN - 1]
    labels = [(tag, 0) for tag in shown]
    if len(shown) < len(lane.tags):
        labels.append(("", len(lane.tags) - len(shown)))
    top = MARGIN + lane.level * UNIT + 12
    return [
        DrawnTag(lane, tag, more, Rectangle(MARGIN + number * width, top + place * (CHIP + 4), _chip(tag, width), CHIP))
        for place, (tag, more) in enumerate(labels)
    ]


def _chip(tag: str, lane: float) -> float:
    """As wide as its tag, or as the text of how many more follow."""
    return min(lane - GAP, 44 + (length(tag, LARGE_LETTER) if tag else 100.0))


def _mooring(lane: Lane, number: int, width: float) -> Rectangle:
    """The line from a lane's last layer to its tags."""
    return Rectangle(MARGIN + number * width + 14, MARGIN + lane.level * UNIT - 3, 0, 15)


def _draw(branch: Branch, level: int, row: float, above: Rectangle | None, drawn: list[DrawnBranch]) -> float:
    """Returns the next free row."""
    if len(drawn) >= BRANCHES_DRAWN:
        return row
    box = Rectangle(MARGIN + level * COLUMN, MARGIN + row * ROW, BOX_WIDTH, BOX_HEIGHT)
    drawn.append(DrawnBranch(branch, box, "" if above is None else _line(above, box), stroke(branch.added)))
    following = row
    for child in branch.branches:
        following = _draw(child, level + 1, following, box, drawn)
    return max(following, row + 1)


def stroke(added: int) -> float:
    """From 1.5 for nothing to about 9 for a gigabyte."""
    return round(1.5 + math.log2(1 + added / 65536) / 2, 1)


def _line(above: Rectangle, box: Rectangle) -> str:
    x, y = above.x + above.width, above.y + above.height / 2
    end = box.y + box.height / 2
    middle = (x + box.x) / 2
    return f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {end:g} {box.x:g} {end:g}"
