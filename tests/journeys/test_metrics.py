"""Metrics of both services as operators get them: a real Prometheus scrapes, the shipped dashboard and alerts ask."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.images import make_chain
from tests.clients.wire import Connection, Target, call
from tests.servers.process import eventually, free_port
from tests.servers.prometheus import Prometheus, promtool, start_prometheus
from tests.servers.services import ROOT, Account, Service, running, sign_up, start_index, start_registry

ALICE = Account("alice")
MONITORING = ROOT / "deploy" / "monitoring"


@dataclass(frozen=True)
class Site:
    """Two workers of each service, and who watches them."""

    index: Service
    registry: Service
    index_metrics: Target
    registry_metrics: Target
    prometheus: Prometheus

    @property
    def daemon(self) -> Daemon:
        return Daemon(NEWEST, self.index.target, ALICE.name, ALICE.password)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("metrics")
    at, of_index, of_registry = free_port(), free_port(), free_port()
    index = start_index(folder / "index", [f"127.0.0.1:{at}"], workers="2", metrics_listen=f"127.0.0.1:{of_index}")
    registry = start_registry(
        folder / "registry", index.url, at, workers="2", metrics_listen=f"127.0.0.1:{of_registry}"
    )
    jobs = {"wharfinger-index": of_index, "wharfinger-registry": of_registry}
    with running(registry, index):
        sign_up(index.target, ALICE)
        prometheus = start_prometheus(folder / "prometheus", jobs, MONITORING / "alerts.yml")
        with prometheus.process:
            targets = [Target("http", "127.0.0.1", port) for port in (of_index, of_registry)]
            yield Site(index, registry, targets[0], targets[1], prometheus)


def exposed(target: Target) -> dict[str, float]:
    """Every sample, by its name and labels as they are written."""
    answer = call(target, "GET /metrics")
    assert answer.status == 200
    families = text_string_to_metric_families(answer.body.decode())
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": sample.value
        for family in families
        for sample in family.samples
    }


def total(target: Target, prefix: str, *parts: str) -> float:
    found = exposed(target)
    return sum(value for key, value in found.items() if key.startswith(prefix) and all(part in key for part in parts))


def comes_to(target: Target, least: float, prefix: str, *parts: str) -> None:
    """What is noted is written within a second."""
    eventually(
        lambda: total(target, prefix, *parts) >= least,
        lambda: f"{prefix} {parts} is {total(target, prefix, *parts)}, not {least}",
    )


def test_a_push_and_a_pull_are_counted_at_both_services(site: Site) -> None:
    chain = make_chain(3)
    layers = sum(len(image.layer) for image in chain)
    before = exposed(site.registry_metrics)
    site.daemon.push("alice/counted", chain)
    site.daemon.pull("alice/counted")
    for metric, parts, least in (
        ("wharfinger_pushes_total", ["outcome=published"], 3),
        ("wharfinger_layers_received_total", [], 3),
        ("wharfinger_bytes_received_total", [], layers),
        # By the fast path in front of Flask, and by the kernel from a file.
        ("wharfinger_request_seconds_count", ["route=/v1/images/<image_id>/layer"], 3),
        ("wharfinger_bytes_sent_total", ["via=direct"], layers),
        ("wharfinger_index_questions_total", ["outcome=answered"], 1),
        ("wharfinger_grant_cache_total", ["hit=miss"], 1),
        ("wharfinger_storage_seconds_count", ["driver=filesystem", "operation=commit"], 3),
        ("wharfinger_requests_total", ["door=v1", "client=docker<17.06", "method=PUT", "status=2xx"], 6),
    ):
        first = sum(value for key, value in before.items() if key.startswith(metric) and all(p in key for p in parts))
        comes_to(site.registry_metrics, first + least, metric, *parts)
    for metric, parts, least in (
        ("wharfinger_tokens_issued_total", ["access=write"], 1),
        ("wharfinger_tokens_issued_total", ["access=read"], 1),
        ("wharfinger_logins_total", ["outcome=right"], 1),
        ("wharfinger_jobs_done_total", ["kind=read", "outcome=completed"], 1),
        ("wharfinger_registry_questions_total", ["outcome=answered"], 1),
        ("wharfinger_request_seconds_count", ["route=/v1/repositories/<repository>/images"], 1),
    ):
        comes_to(site.index_metrics, least, metric, *parts)


def test_no_label_has_what_a_client_sent(site: Site) -> None:
    """However many names, paths and methods there are, the series are as many."""
    words = "unheard-of"
    for target in (site.index.target, site.registry.target):
        for line in (f"GET /{words}", f"GET /v1/repositories/{words}/{words}/tags", f"GET /v2/{words}/tags/list"):
            call(target, line, {"User-Agent": words})
        call(target, f"{words.upper()} /v1/_ping", {"User-Agent": words})
    comes_to(site.registry_metrics, 1, "wharfinger_requests_total", "client=other", "method=other")
    comes_to(site.index_metrics, 1, "wharfinger_request_seconds_count", "route=none")
    for target in (site.index_metrics, site.registry_metrics):
        assert not [key for key in exposed(target) if words in key.lower()]


def test_a_request_with_an_invalid_length_is_answered_and_counted(site: Site) -> None:
    """Gunicorn has read its head by then, and reports it as a request that no application has seen."""
    for service, metrics in ((site.index, site.index_metrics), (site.registry, site.registry_metrics)):
        with Connection(service.target) as connection:
            connection.send(b"PATCH /v1/_ping HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
            assert connection.read_answer().status == 400, service.process.name
        comes_to(metrics, 1, "wharfinger_requests_total", "door=health", "method=PATCH", "status=4xx")


def test_counts_outlive_the_workers_that_counted(site: Site) -> None:
    for service, metrics in ((site.index, site.index_metrics), (site.registry, site.registry_metrics)):
        name = service.process.name
        for _ in range(20):
            assert call(service.target, "GET /v1/_ping").status == 200
        comes_to(metrics, 20, "wharfinger_requests_total", "door=health")
        before, files = exposed(metrics), len(list(folder_of(service).iterdir()))
        for _ in range(3):
            gone = workers_of(service)
            for pid in gone:
                os.kill(pid, signal.SIGKILL)
            eventually(
                lambda gone=gone, service=service: len(set(workers_of(service)) - set(gone)) == 2,
                lambda: "no workers come",
            )
            comes_to(metrics, 2, "wharfinger_workers")
        after = exposed(metrics)
        fallen = {
            key: (value, after.get(key))
            for key, value in before.items()
            if re.match(r"\w+_(total|count|sum|bucket)\{", key) and after.get(key, -1) < value
        }
        assert fallen == {}, name
        assert after[f"wharfinger_workers{{service={name}}}"] == 2
        # Those of two workers, and two of all that are dead.
        assert len(list(folder_of(service).iterdir())) <= files + 2


def words_of(pid: int) -> list[str]:
    """A process's command; none of one that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    return []


def workers_of(service: Service) -> list[int]:
    """Gunicorn's children without the listener."""
    return [pid for pid in service.process.children() if "gunicorn" in " ".join(words_of(pid))]


def folder_of(service: Service) -> Path:
    """Where the listener finds the files."""
    commands = map(words_of, service.process.children())
    (folder,) = [words[4] for words in commands if "common.metrics_listener" in words]
    return Path(folder)


def test_the_public_ports_tell_no_metrics_and_the_listener_nothing_else(site: Site) -> None:
    for target in (site.index.target, site.registry.target):
        assert call(target, "GET /metrics").status == 404
    for target in (site.index_metrics, site.registry_metrics):
        assert call(target, "GET /").status == 404
        assert call(target, "GET /v1/_ping").status == 404


def test_a_listener_goes_on_beside_clients_that_send_nothing(site: Site) -> None:
    address = (site.index_metrics.host, site.index_metrics.port)
    with socket.create_connection(address), socket.create_connection(address):
        assert exposed(site.index_metrics)


def test_every_query_of_the_dashboard_finds_something(site: Site) -> None:
    """Also before anything has happened: what has not is 0 there, and not absent."""
    board = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 30
    asked = [query.replace("$__rate_interval", "1m").replace("$service", ".*") for query in queries]
    site.daemon.push("alice/asked", make_chain(2))

    def in_vain() -> list[str]:
        return [query for query in asked if not site.prometheus.ask(query)]

    eventually(lambda: not in_vain(), lambda: "\n".join(in_vain()), 30)


def test_prometheus_scrapes_both_and_knows_the_alerts(site: Site) -> None:
    eventually(lambda: site.prometheus.value('sum(up{job=~"wharfinger.*"})') == 2, lambda: "not both are scraped")
    assert {rule["health"] for rule in site.prometheus.rules()} == {"ok"}
    assert len(site.prometheus.rules()) == (MONITORING / "alerts.yml").read_text(encoding="utf-8").count("- alert:")


def test_every_metric_that_dashboard_and_alerts_name_is_there(site: Site) -> None:
    found = {key.partition("{")[0] for target in (site.index_metrics, site.registry_metrics) for key in exposed(target)}
    named = {
        name
        for file in ("dashboard.json", "alerts.yml")
        for name in re.findall(r"\bwharfinger_\w+", (MONITORING / file).read_text(encoding="utf-8"))
    }
    # A store that never failed has no failures, and what it is called is not known before.
    assert named - found - {"wharfinger_storage_failures_total"} == set()


def test_the_shipped_files_are_right_and_the_alerts_ring() -> None:
    promtool("check", "config", "prometheus.yml", folder=MONITORING)
    told = promtool("check", "rules", "alerts.yml", folder=MONITORING)
    assert "FAILED" not in told
    promtool("test", "rules", str(Path(__file__).with_name("alerts_test.yml")), folder=MONITORING)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Neither a process nor a folder, and another service can listen there at once."""
    port = free_port()
    for _ in range(2):
        service = start_registry(tmp_path, None, metrics_listen=f"127.0.0.1:{port}")
        target = Target("http", "127.0.0.1", port)
        eventually(lambda target=target: is_told(target), lambda: "no metrics")
        folder = folder_of(service)
        assert folder.parent == Path(tempfile.gettempdir())
        service.process.terminate()
        assert service.process.wait() == 0
        assert not folder.exists()
        service.process.stop()


def is_told(target: Target) -> bool:
    try:
        return call(target, "GET /metrics").status == 200
    except OSError:
        return False
