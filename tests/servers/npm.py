"""Packages of npm that tests use, as their lock says; kept between runs beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.one_at_a_time import one_at_a_time
from tests.servers.process import require


def install(folder: Path) -> Path:
    """The `node_modules` of a folder with a package-lock.json. Fails the test where npm cannot make it."""
    npm, modules, lock = require("npm", "npm"), folder / "node_modules", folder / "package-lock.json"
    installed = modules / ".installed"
    with one_at_a_time(modules):
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            done = subprocess.run([npm, "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, f"npm ci failed; the tests need it to reach a registry once\n{done.stderr}"
            installed.write_bytes(lock.read_bytes())
    return modules
