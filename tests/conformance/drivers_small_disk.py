"""Runs a module on a disk of a few MiB that is really full in the end: a tmpfs that no other process sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MEBIBYTES = 4


def run_on_small_disk(mount_point: Path, module: str) -> None:
    """Run `python -m module DIRECTORY` with the disk mounted at the directory; fail with what it printed."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t tmpfs -o size={MEBIBYTES}m none "$1" && exec "$2" -m "$3" "$1"'
    command = ["unshare", "--mount", *as_root, "sh", "-c", mount, "sh", str(mount_point), sys.executable, module]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert "unshare failed" not in done.stdout, f"a small disk can be mounted by root only; run as root: {done.stdout}"
    assert done.returncode == 0, done.stdout
