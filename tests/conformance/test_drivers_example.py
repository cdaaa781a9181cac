"""The example driver of docs/example-driver: installed as a company would, found by its name, held to the contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from common.settings import SettingsError
from registry_service.storage import factory
from tests.conformance.drivers_shared import SharedDriverContract
from tests.servers.harbour import Harbour
from tests.servers.store import Store

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example-driver"

numbers = count()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder it was installed into, which Python searches now."""
    folder = tmp_path_factory.mktemp("example")
    source, target = folder / "source", folder / "installed"
    # A copy, for building leaves things behind.
    shutil.copytree(EXAMPLE, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(target)
        patch.setenv("PYTHONPATH", str(target), prepend=os.pathsep)
        yield target
    sys.modules.pop("wharfinger_harbour", None)


@pytest.fixture(scope="module")
def harbour(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    with Harbour(tmp_path_factory.mktemp("harbour")) as server:
        yield server


class TestExample(SharedDriverContract):
    @pytest.fixture
    def store(self, harbour: Harbour) -> Store:
        return harbour.store(f"/registry/{next(numbers)}")


def test_it_is_what_was_installed(installed: Path, harbour: Harbour) -> None:
    store = harbour.store("there")
    factory.create(store.name, store.path, store.environ)
    assert Path(str(sys.modules["wharfinger_harbour"].__file__)).is_relative_to(installed)


def test_a_wrong_token_stops_the_start(harbour: Harbour) -> None:
    store = harbour.store("there", WHARFINGER_HARBOUR_TOKEN="not this one")
    with pytest.raises(
        SettingsError, match=r"cannot be used \(answered 401\): mend .*WHARFINGER_HARBOUR_TOKEN"
    ) as caught:
        factory.create(store.name, store.path, store.environ)
    assert "not this one" not in str(caught.value)


def test_the_operators_check_likes_it(harbour: Harbour) -> None:
    store = harbour.store("there")
    settings = {
        "WHARFINGER_REGISTRY_STANDALONE": "true",
        "WHARFINGER_REGISTRY_STORAGE": store.name,
        "WHARFINGER_REGISTRY_STORAGE_PATH": store.path,
    }
    command = [sys.executable, "-m", "registry_service.cli", "check"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **store.environ, **settings})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "store          harbour, at there" in done.stdout
