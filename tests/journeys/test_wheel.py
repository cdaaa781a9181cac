"""What `pip install .` brings: a wheel with everything the commands need, tried in an environment of its own."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.clients.wire import Target, call
from tests.servers.process import Process, free_port, listening
from tests.servers.services import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy of what is tracked: building leaves folders behind, and takes along what lies about.
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", source], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", folder, source], check=True)
    [built] = folder.glob("wharfinger-*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel; its dependencies are borrowed from this one."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (libraries / "borrowed.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    return folder / "bin"


def test_the_wheel_holds_every_module_and_no_test(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    packages = ("common/", "index_service/", "registry_service/", "migrations/")
    expected = {name for name in tracked if name.startswith(packages)}
    assert expected - names == set()
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)


def test_its_commands_serve_an_index_and_a_registry(programs: Path, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    (tmp_path / "store").mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "WHARFINGER_INDEX_LISTEN": f"127.0.0.1:{ports[0]}",
        "WHARFINGER_INDEX_DATABASE_URL": f"sqlite:///{tmp_path}/index.db",
        "WHARFINGER_INDEX_SECRET_KEYS": "k" * 32,
        "WHARFINGER_REGISTRY_LISTEN": f"127.0.0.1:{ports[1]}",
        "WHARFINGER_REGISTRY_INDEX_URL": f"http://127.0.0.1:{ports[0]}",
        "WHARFINGER_REGISTRY_SECRET_KEYS": "k" * 32,
        "WHARFINGER_REGISTRY_STORAGE_PATH": str(tmp_path / "store"),
    }
    migrated = subprocess.run(
        [programs / "wharfinger-index", "migrate"], env=environ, cwd=tmp_path, capture_output=True
    )
    assert migrated.returncode == 0, migrated.stderr
    index = Process("index", [str(programs / "wharfinger-index"), "serve"], tmp_path, environ)
    registry = Process("registry", [str(programs / "wharfinger-registry"), "serve"], tmp_path, environ)
    with index, registry:
        for process, port in ((index, ports[0]), (registry, ports[1])):
            process.start(lambda port=port: listening(port))
        status = call(Target("http", "127.0.0.1", ports[1]), "GET /v1/_status")
        assert (status.status, status.json()["failures"]) == (200, {})
