"""`wharfinger-registry import`: what today's tools build and save, a daemon of 2014 pulls, file by file; and today's
clients get it with the id that it had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.generations import NEWEST, V0_8, V1_6
from tests.clients.images import unpack
from tests.clients.today import Pulled, Skopeo, files_of
from tests.journeys.test_export import run
from tests.journeys.test_generations import chain_for, daemon_of
from tests.servers.services import index_command, registry_command
from tests.servers.setups import ALICE, SetUp

FILES = {"etc/passwd": b"root:x:0:0\n" * 200, "srv/data": bytes(range(256)) * 300, "srv/empty": b""}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An image of two layers and a step without one, built by umoci."""
    for number, (name, content) in enumerate(FILES.items()):
        path = tmp_path / f"layer {min(number, 1)}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    layout = tmp_path / "layout"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:1.0")
    for number in range(2):
        run("umoci", "insert", "--rootless", "--image", f"{layout}:1.0", tmp_path / f"layer {number}", "/")
    run("umoci", "config", "--image", f"{layout}:1.0", "--config.cmd", "/bin/true")
    return layout


def config_in(layout: Path) -> str:
    """The digest of the config of a layout's only image."""

    def read(digest: str) -> dict[str, dict[str, str]]:
        content: dict[str, dict[str, str]] = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
        return content

    (manifest,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return read(manifest["digest"])["config"]["digest"]


def pulled_by(setup: SetUp, name: str, tag: str) -> list[bytes]:
    """The tars that daemons of two ages get, the base first."""
    pulled = [daemon_of(generation, setup).pull(name, tag) for generation in (V0_8, V1_6)]
    assert pulled[0] == pulled[1]
    return [unpack(image.layer) for image in reversed(pulled[0])]


def files(tar: bytes) -> dict[str, bytes]:
    """umoci leaves the end of an archive out, down to the padding of the last file."""
    return files_of(tar + bytes(1024))


@pytest.mark.parametrize("kind", ["oci", "docker-archive"])
def test_daemons_pull_what_today_s_tools_built(standalone: SetUp, layout: Path, tmp_path: Path, kind: str) -> None:
    source, name = f"oci:{layout}:1.0", standalone.fresh_name("built")
    if kind == "docker-archive":
        source = f"docker-archive:{tmp_path}/saved.tar:acme/app:1.0"
        run("skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout}:1.0", source)
    said = registry_command(standalone.registry_service.environ, "import", source, f"{name}:1.0")
    top = config_in(layout).removeprefix("sha256:")
    assert said.startswith(f"{name}:1.0 is image {top}: ")
    tars = pulled_by(standalone, name, "1.0")
    assert [files(tar) for tar in tars] == [
        {name: FILES[name] for name in ("etc/passwd",)},
        {name: FILES[name] for name in ("srv/data", "srv/empty")},
    ]
    again = Skopeo(tmp_path).pull(standalone.index, f"{name}:1.0")
    assert again == Pulled(config_in(layout), tuple(tars))


def test_what_left_comes_back(standalone: SetUp, tmp_path: Path) -> None:
    """Pushed by a daemon, copied away by Skopeo, imported again: other ids, the same files."""
    name, back = standalone.fresh_name("gone"), standalone.fresh_name("back")
    for generation in (V0_8, NEWEST):
        chain = chain_for(generation)
        daemon_of(generation, standalone).push(name, chain)
        layout = tmp_path / str(generation)
        run(
            "skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
            f"docker://{standalone.index.netloc}/{name}", f"oci:{layout}:x",
        )  # fmt: skip
        registry_command(standalone.registry_service.environ, "import", f"oci:{layout}", back)
        assert pulled_by(standalone, back, "latest") == [unpack(image.layer) for image in chain]


def test_index_has_to_be_told(split: SetUp, layout: Path, tmp_path: Path) -> None:
    name = split.fresh_name("told")
    said = registry_command(split.registry_service.environ, "import", f"oci:{layout}", f"{name}:1.0")
    assert f"wharfinger-index reindex [--take-over OWNER] {name}" in said
    assert split.index_service is not None
    index_command(split.index_service.environ, "reindex", "--take-over", ALICE.name, name)
    layers = [files(tar) for tar in pulled_by(split, name, "1.0")]
    assert {name: content for layer in layers for name, content in layer.items()} == FILES
    assert Skopeo(tmp_path, ALICE).pull(split.index, f"{name}:1.0").config == config_in(layout)
