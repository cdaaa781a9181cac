"""What `wharfinger-registry export` writes, in the hands of the tools of today."""

from __future__ import annotations

import subprocess
from pathlib import Path

from registry_service.storage.filesystem import Filesystem
from tests.units.registry_service.oci.store import TAR, Made, OciStore
from tests.units.registry_service.oci.test_layers import FORMS
from tests.units.registry_service.oci.test_lookup import push
from tests.units.registry_service.test_export_command import APP, export


def test_tools_of_today_take_every_form_of_layer(tmp_path: Path) -> None:
    """Both are written in Go, whose readers are strict; umoci compares each diff id. It knows no sparse files."""
    root, folder = tmp_path / "store", tmp_path / "layout"
    root.mkdir()
    images = [Made("form", stored=TAR)]
    for form in sorted(FORMS.keys() - {"gzip, sparse"}):
        images.append(Made(form, images[-1], stored=FORMS[form][0]))
    push(OciStore(Filesystem(root)), APP, *images, tag="forms")
    assert export(root, folder, "acme/app").exit_code == 0
    (tmp_path / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    source, copy = f"oci:{folder}:acme/app:forms", f"oci:{tmp_path}/copy:x"
    run("skopeo", "--policy", tmp_path / "policy.json", "copy", "-q", source, copy)
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/copy:x", tmp_path / "bundle")
    found = {str(path.relative_to(tmp_path / "bundle/rootfs")) for path in (tmp_path / "bundle/rootfs").rglob("*")}
    assert {"etc/passwd", "bin", "a", "long/" * 60 + "name", "file", "hard", "dir"} <= found


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
