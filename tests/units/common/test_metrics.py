"""Metrics: what is noted in several processes is told as one, and nothing a client sends makes a series of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common import agents, metrics
from common.metrics_listener import Metrics
from tests.conformance.drivers_small_disk import run_on_small_disk

WORK = """
import sys
from pathlib import Path
from common import metrics

COUNTED = metrics.Counter("counted_total", "Counted.", ("kind",), known=(("never",),))
TIMED = metrics.Histogram("timed_seconds", "Timed.")
LEVEL = metrics.Gauge("level", "A level.")
SHARED = metrics.Gauge("shared", "What each worker reads.", is_shared=True)

COUNTED.add("before")
metrics.start(Path(sys.argv[1]), "index")
COUNTED.add("some", amount=3)
TIMED.observe(0.004)
TIMED.observe(1000)
LEVEL.watch(lambda: 5)
SHARED.set(7)
metrics.note_request("v1", "/v1/search", "GET", "200 OK", "curl/7", 0.2, 100)
print("noted", flush=True)
if sys.argv[2] == "stay":
    sys.stdin.read()
"""


def work(folder: Path, then: str) -> subprocess.Popen[str]:
    """A worker that has noted something; it ends at once, or when its input does."""
    command = [sys.executable, "-c", WORK, str(folder), then]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "noted\n"
    if then == "end":
        worker.communicate()
    return worker


def told(folder: Path) -> dict[str, float]:
    text, _ = Metrics(folder).exposition("")
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_workers_are_summed_up_the_dead_ones_too(tmp_path: Path) -> None:
    for _ in range(3):
        work(tmp_path, "end")
    found = told(tmp_path)
    assert found["counted_total some"] == 9
    assert found["counted_total never"] == 0
    assert "counted_total before" not in found
    assert found["timed_seconds_count"] == 6
    assert found["timed_seconds_sum"] == pytest.approx(3000.012)
    assert (found["timed_seconds_bucket 0.0025"], found["timed_seconds_bucket 0.005"]) == (0, 3)
    assert (found["timed_seconds_bucket 120.0"], found["timed_seconds_bucket +Inf"]) == (3, 6)
    assert found["wharfinger_requests_total curl v1 GET index 2xx"] == 3
    assert found["wharfinger_bytes_sent_total index direct"] == 300
    assert found["wharfinger_worker_starts_total index"] == 3
    # What is no more has no level.
    assert not {"level", "shared", "wharfinger_workers index"} & set(found)
    assert {file.name for file in tmp_path.iterdir()} == {"counter_0.db", "histogram_0.db"}
    assert told(tmp_path) == found


def test_a_gauge_is_the_sum_of_the_living_or_what_one_of_them_read(tmp_path: Path) -> None:
    workers = [work(tmp_path, "stay") for _ in range(2)]
    work(tmp_path, "end")
    try:
        found = told(tmp_path)
        assert found["wharfinger_workers index"] == 2
        assert found["wharfinger_worker_starts_total index"] == 3
    finally:
        for worker in workers:
            worker.communicate()


def test_a_full_disk_ends_no_worker(tmp_path: Path) -> None:
    run_on_small_disk(tmp_path, "tests.units.common.metrics_full")


def test_nothing_is_kept_where_metrics_are_off() -> None:
    assert not metrics.is_on()
    metrics.note_request("v1", "", "GET", "200 OK", "", 0.1, 1)
    assert metrics._queue is None


FORK = """
import os, time
if os.fork():
    COUNTED.add("some", amount=10)
else:
    time.sleep(0.5)
"""


def test_a_forked_child_does_not_write_what_its_parent_had_counted(tmp_path: Path) -> None:
    """It ends later. Both have ended once nobody can write to the pipe any more."""
    command = [sys.executable, "-c", WORK + FORK, str(tmp_path), "end"]
    subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))
    assert told(tmp_path)["counted_total some"] == 13


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/v1/_ping", "health"),
        ("/_status", "health"),
        ("/v1/images/x/json", "v1"),
        ("/v2/", "v2"),
        ("/v2", "v2"),
        ("/api/v1/search", "api"),
        ("/", "site"),
        ("/v1x", "site"),
    ],
)
def test_each_path_has_a_door(path: str, door: str) -> None:
    assert metrics.door_of(path) == door


@pytest.mark.parametrize(
    ("user_agent", "family"),
    [
        ("docker/1.6.2 go/go1.4.2 git-commit/7c8fca2 kernel/3.16 os/linux arch/amd64", "docker<1.10"),
        ("Go 1.1 package http", "docker<1.10"),
        ("docker/0.5", "docker<1.10"),
        ("docker/1.12.6 go/go1.6.4", "docker<17.06"),
        ("docker/17.05.0-ce", "docker<17.06"),
        ("docker/24.0.7 go/go1.20", "docker"),
        ("containerd/v1.7.2", "containerd"),
        ("libpod/4.3.1", "podman"),
        ("skopeo/1.9.3", "skopeo"),
        ("Buildah/1.28", "buildah"),
        ("containers/5.24.1 (github.com/containers/image)", "containers"),
        ("wharfinger-index", "wharfinger"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "browser"),
        ("kube-probe/1.29", "prober"),
        ("", "none"),
        ("docker\x00", "other"),
        ("anything else", "other"),
    ],
)
def test_a_client_is_one_of_a_few_kinds(user_agent: str, family: str) -> None:
    assert agents.family(user_agent) == family
