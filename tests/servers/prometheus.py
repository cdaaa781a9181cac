"""A real Prometheus for a test, that scrapes services of the test, and promtool, which checks its files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.clients.wire import Target, WireError, call
from tests.servers.process import Process, free_port, require

SCRAPE_SECONDS = 1


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    process: Process
    target: Target

    def ask(self, query: str) -> list[Any]:
        """What a query finds now. Fails for one that Prometheus refuses."""
        answer = call(self.target, f"GET /api/v1/query?{urlencode({'query': query})}")
        told = json.loads(answer.body)
        assert told["status"] == "success", f"{query}: {told}"
        found: list[Any] = told["data"]["result"]
        return found

    def value(self, query: str) -> float:
        """The one number that a query finds; 0 where it finds nothing."""
        found = self.ask(query)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else 0.0

    def rules(self) -> list[Any]:
        told = json.loads(call(self.target, "GET /api/v1/rules").body)
        return [rule for group in told["data"]["groups"] for rule in group["rules"]]


def start_prometheus(folder: Path, jobs: Mapping[str, int], rules: Path) -> Prometheus:
    """It scrapes each job's port every second."""
    folder.mkdir(parents=True, exist_ok=True)
    scrapes = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in jobs.items()]
    every = {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"}
    configuration = {"global": every, "rule_files": [str(rules)], "scrape_configs": scrapes}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = free_port()
    command = [
        require("prometheus", "prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = Process("prometheus", command, folder)
    target = Target("http", "127.0.0.1", port)
    process.start(lambda: _is_ready(target))
    return Prometheus(process, target)


def promtool(*words: str, folder: Path) -> str:
    """What it says of files that are right. Raises AssertionError for others."""
    command = [require("promtool", "prometheus"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _is_ready(target: Target) -> bool:
    try:
        return call(target, "GET /-/ready").status == 200
    except (OSError, WireError):
        return False
