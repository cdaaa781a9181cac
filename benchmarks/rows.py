"""The comparisons that this project is measured by, each under a name of its own, with what it has to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The rate of `ours` by that of `theirs`, and MiB of memory that the registry of `ours` may take."""

    ours: str
    theirs: str = ""
    at_least: float = 0.0
    most_memory: int = 0

    @property
    def set_ups(self) -> set[str]:
        return {self.ours, self.theirs} - {""}


@dataclass(frozen=True)
class Row:
    """A scenario with its options."""

    scenario: str
    set_ups: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    clients: tuple[int, ...] = (50,)
    layers: int = 10
    size: int = 21_000_000


_MANY = (50, 500, 1000)

ROWS: Mapping[str, Row] = {
    "files": Row("pull", ("standalone", "distribution"), (Target("standalone", "distribution", 1.8),)),
    "files-v2": Row(
        "pull", ("standalone-v2", "distribution"), (Target("standalone-v2", "distribution", 1.9),), clients=(50, 500)
    ),
    "files-front": Row("pull", ("front", "nginx"), (Target("front", "nginx", 0.8),), _MANY),
    "files-split": Row(
        "pull", ("split", "distribution"), (Target("split", "distribution", 1.8),), clients=(50, 500, 2000)
    ),
    "files-split-front": Row(
        "pull",
        ("split-front", "split-front-private", "nginx"),
        (Target("split-front", "nginx", 0.95), Target("split-front-private", "nginx", 0.85)),
        clients=(50, 500, 2000),
    ),
    "store-redirect": Row(
        "pull",
        ("s3-redirect", "s3-redirect-front", "s3-direct"),
        (Target("s3-redirect", "s3-direct", 0.8), Target("s3-redirect-front", "s3-direct", 0.8)),
    ),
    "store-front": Row("pull", ("s3-front", "nginx"), (Target("s3-front", "nginx", 0.8),), _MANY),
    "store-streamed": Row("pull", ("s3", "s3-direct"), (Target("s3", "s3-direct", 0.5, most_memory=300),)),
    "pushes": Row(
        "push",
        ("standalone", "distribution", "s3", "distribution-s3"),
        (Target("standalone", "distribution", 1.0), Target("s3", "distribution-s3", 1.0)),
        clients=(8,),
        layers=1,
        size=64 * 1024**2,
    ),
    "mirrors": Row(
        "mirror",
        ("mirror", "distribution-mirror"),
        (Target("mirror", "distribution-mirror", 1.0),),
        clients=(100,),
    ),
}
