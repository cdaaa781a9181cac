"""An index and a registry as an operator runs them, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.visitor import launch
from tests.servers.process import free_port
from tests.servers.services import Service, running, start_index, start_registry


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The index; its registry is where it announces it. Letters go to its folder `mail`."""
    folder: Path = tmp_path_factory.mktemp("harbour")
    index_port, registry_port = free_port(), free_port()
    registry = start_registry(folder / "registry", f"http://127.0.0.1:{index_port}", registry_port)
    with running(registry):
        index = start_index(
            folder,
            [f"127.0.0.1:{registry_port}"],
            index_port,
            site_url=f"http://127.0.0.1:{index_port}",
            mail_folder=str(folder / "mail"),
        )
        with running(index):
            yield index
