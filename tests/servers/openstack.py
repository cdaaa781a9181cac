"""OpenStack's own servers for the tests: Swift, Keystone and Glance, each started when first asked for.

They live in a virtual environment of their own, `.servers/openstack`, which `tests/install-tools` makes.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from tests.servers.glance import Glance, Project
from tests.servers.keystone import Keystone
from tests.servers.process import free_port
from tests.servers.swift import Swift


class OpenStack:
    """One cloud on loopback. The servers know each other's ports before any of them runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keystone_port = free_port()
        self._glance_port = free_port()

    @cached_property
    def swift(self) -> Swift:
        """Answers to tempauth, and to Keystone's tokens as soon as Keystone runs."""
        return Swift(self._folder / "swift", self._keystone_url)

    @cached_property
    def keystone(self) -> Keystone:
        return Keystone(self._folder / "keystone", self._keystone_port, self.swift.keystone_url, self._glance_url)

    @cached_property
    def glance(self) -> Glance:
        self.keystone  # noqa: B018
        return Glance(self._folder / "glance", self._glance_port, self._keystone_url)

    def project(self) -> Project:
        """The project `demo`, in Glance."""
        return Project(self.keystone, self.glance)

    @property
    def _keystone_url(self) -> str:
        return f"http://127.0.0.1:{self._keystone_port}"

    @property
    def _glance_url(self) -> str:
        return f"http://127.0.0.1:{self._glance_port}"

    def close(self) -> None:
        for name in ("glance", "keystone", "swift"):
            if name in vars(self):
                vars(self)[name].close()
