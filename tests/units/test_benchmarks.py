"""The benchmarks say the truth: ratios by round, a tiny round on a real registry, a wrong byte that is a failure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import load, report
from benchmarks.layers import Image, Pattern
from benchmarks.load import Plan, Result
from benchmarks.mirrors import Mirror
from benchmarks.ours import Standalone
from benchmarks.peers import SET_UPS
from benchmarks.rows import ROWS, Target
from benchmarks.store import ObjectStore

SMALL = Plan(clients=2, pulls=4, limit=20, verify=1)


@pytest.fixture(scope="module")
def image() -> Image:
    return Pattern(3, 60_000).image("pulled")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, image: Image) -> Iterator[Standalone]:
    folder = tmp_path_factory.mktemp("benchmark")
    set_up = Standalone(folder / "standalone", ObjectStore(folder / "store"))
    try:
        set_up.start()
        load.fill(set_up, image)
        yield set_up
    finally:
        set_up.stop()


def done(pulls: int, seconds: float) -> Result:
    return Result(times=[seconds] * pulls, elapsed=seconds)


def test_ratio_is_the_median_of_the_ratios_within_the_rounds():
    ours = [done(30, 1), done(10, 1), done(40, 2)]
    theirs = [done(10, 1), done(10, 1), done(10, 1)]

    assert report.ratio(ours, theirs) == 2
    assert report.ratio(ours, [done(0, 1), *theirs[1:]]) == 1.5
    assert math.isnan(report.ratio(ours, [done(0, 1)] * 3))


def test_summary_names_ratios_and_what_failed():
    result = done(10, 1)
    result.memory = {"index": 2**20, "registry": 3 * 2**20}
    result.server_cpu = {"index": 0.5, "registry": 1.25}
    result.failures["GET layer: wrong bytes"] = 2
    rounds = {"split": [result], "other": [done(5, 1)]}
    rounds["other"][0].memory = {"other": 0}
    rounds["other"][0].server_cpu = {"other": 0}

    row = report.table(rounds, "pulls").splitlines()[2]

    assert [cell.strip() for cell in row.split("|")[1:10]] == [
        "split", "10.00", "0", "1.00", "1.00", "10", "2", "index 1, registry 3",
        "index 50.0, registry 125.0",
    ]  # fmt: skip
    assert report.ratios(rounds, "other") == ["split / other: 2.00"]
    assert report.failures(rounds) == ["split: 2 x GET layer: wrong bytes"]


def test_a_row_says_whether_it_reached_what_it_should():
    rounds = {"ours": [done(9, 1)], "theirs": [done(10, 1)]}
    rounds["ours"][0].memory = {"registry": 301 * 2**20, "store": 2**40}

    assert report.reached(rounds, [Target("ours", "theirs", 0.8, most_memory=300)]) == [
        "ours / theirs: 0.90, to reach 0.8: reached",
        "ours: 301 MiB, at most 300: MISSED",
    ]
    assert report.reached(rounds, [Target("theirs", "ours", 1.2)]) == ["theirs / ours: 1.11, to reach 1.2: MISSED"]


def test_rows_name_set_ups_that_are_there():
    for row in ROWS.values():
        assert set(row.set_ups) <= set(SET_UPS)
        assert {name for target in row.targets for name in target.set_ups} <= set(row.set_ups)


def test_a_mirror_is_counted_at_its_source(tmp_path: Path, image: Image):
    set_up = Mirror(tmp_path / "mirror", ObjectStore(tmp_path / "store"))
    try:
        set_up.start()
        result = load.mirror_round(set_up, image, SMALL)
    finally:
        set_up.stop()

    assert (result.done, result.failed) == (2, 0)
    assert result.source_reads == [1, 1, 1]
    assert report.source_reads({"mirror": [result], "other": [done(1, 1)]}) == [
        "mirror: read each layer of the source 1 to 1 times"
    ]


def test_pulls_and_pushes_succeed(registry: Standalone, image: Image):
    pulled = load.pull_round(registry, image, SMALL)
    pushed = load.push_round(registry, Pattern(2, 30_000), "pushed", SMALL)

    assert (pulled.done, pulled.failed, pulled.transferred) == (4, 0, 4 * image.size)
    assert (pushed.done, pushed.failed) == (2, 0)
    assert pulled.memory["registry"] > 2**20
    assert pulled.percentile(0.5) <= pulled.percentile(0.99)


def test_a_wrong_byte_is_a_failure(registry: Standalone, image: Image):
    layer = next(Path(registry.data).glob(f"**/{image.layers[1].id}/layer"))
    content = bytearray(layer.read_bytes())
    content[1000] ^= 1
    layer.write_bytes(content)
    try:
        result = load.pull_round(registry, image, SMALL)
    finally:
        content[1000] ^= 1
        layer.write_bytes(content)

    assert result.done == 0
    assert dict(result.failures) == {"GET layer: wrong bytes": 4}
