"""What drivers promise further whose store outlives a process: others see it, and a killed writer leaves nothing."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.collection.collector import Collector
from registry_service.storage import factory, paths
from registry_service.storage.driver import BLOCK, Driver, PathNotFound
from tests.conformance import drivers_child
from tests.conformance.drivers_contract import DriverContract, generated, read
from tests.forked import Forked
from tests.servers.store import Store
from tests.units.registry_service.graph.store import Image
from tests.units.registry_service.graph.store import Store as Graph

Child = Forked | subprocess.Popen[str]
Start = Callable[..., Child]

MEMORY_BYTES = 24 * 1024**2
"""By how much a process may grow while a content of any size passes through it."""

LARGE = 4 * 1024**3 + 16 * 1024**2
"""More than 32 bits can count."""

STREAM = 256 * 1024**2
"""Ten times as much as a process may grow by."""


def first_line(process: Child) -> str:
    """What a child says first; its failure, if it fails instead."""
    output = process.stdout
    assert output is not None
    line = output.readline().strip()
    assert line, f"the child ended with {process.wait()}"
    return line


def rest_of(process: Child) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0
    return output.strip()


def keep_large(start: Start, driver: Driver, staged: str, kept: str) -> None:
    """Written by a child that stays small, moved, and read across the bound of 32 bits and at its end."""
    assert int(rest_of(start("pad", staged, LARGE, "end"))) < MEMORY_BYTES
    driver.move(staged, kept)
    assert not driver.exists(staged)
    assert driver.stat(kept).size == LARGE + 3
    assert read(driver.open_reader(kept, 4 * 1024**3 - 5, 10)) == bytes(10)
    assert read(driver.open_reader(kept, LARGE - 10**6)) == bytes(10**6) + b"end"


class SharedDriverContract(DriverContract):
    """Inherit, and give a fixture `store`: an empty one for each test."""

    @pytest.fixture
    def driver(self, store: Store) -> Driver:
        return factory.create(store.name, store.path, store.environ)

    @pytest.fixture
    def start(self, store: Store) -> Start:
        """Starts a child that opens the same store: see `drivers_child`. One that weighs itself is not forked."""

        def start(*arguments: object) -> Child:
            words = [store.name, store.path, *map(str, arguments)]
            if not {"pad", "read", "weigh"} & set(words):
                return Forked(drivers_child.main, words, environ=store.environ)
            command = [sys.executable, "-m", "tests.conformance.drivers_child", *words]
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **store.environ})

        return start

    def test_another_process_sees_it(self, driver: Driver, start: Start) -> None:
        driver.put("a/b", b"from here")
        assert rest_of(start("get", "a/b")) == "from here"
        assert rest_of(start("put", "a/c", "from there")) == ""
        assert driver.get("a/c") == b"from there"

    def test_killed_writer_leaves_nothing(self, driver: Driver, start: Start) -> None:
        driver.put("images/old/layer", b"old")
        for path in ("images/new/layer", "images/old/layer"):
            child = start("stall", path, 20)
            assert first_line(child) == "written"
            child.send_signal(signal.SIGKILL)
            child.communicate()
        assert not driver.exists("images/new")
        assert list(driver.list("images")) == ["old"]
        assert driver.get("images/old/layer") == b"old"

    def test_a_sweep_leaves_whoever_writes_alone(self, driver: Driver, start: Start) -> None:
        driver.put("images/a/json", b"1")
        with driver.open_writer("_uploads/a/u/layer.1") as writer:
            writer.write(b"half")
            driver.sweep()
            writer.write(b" and half")
            writer.commit()
        driver.sweep()
        assert driver.get("_uploads/a/u/layer.1") == b"half and half"
        assert driver.get("images/a/json") == b"1"

    def test_what_no_tag_reaches_is_collected(self, driver: Driver) -> None:
        """A collection relies on listings and times of the store, and deletes part by part."""
        graph, base = Graph(driver), Image("base")
        kept = Image("kept", base)
        graph.add(base, kept, Image("loose", base))
        graph.tags.set(RepositoryName("acme", "app"), Tag("latest"), kept.id, Agent())
        assert Collector(driver, graph.push, 0.0).run().condemned == 1
        assert Collector(driver, graph.push, 0.0).run().deleted == 1
        assert set(driver.list(paths.IMAGES)) == {base.id, kept.id}
        assert graph.holds(base)
        assert graph.holds(kept)
        assert not driver.exists(paths.COLLECTION)

    def test_one_of_sixteen_processes_creates(self, driver: Driver, start: Start) -> None:
        children = [start("create", "claim", number) for number in range(16)]
        said = [first_line(child) for child in children]
        for child in children:
            rest_of(child)
        assert said.count("True") == 1
        assert driver.get("claim") == str(said.index("True")).encode()

    def test_processes_that_write_one_path_do_not_mix(self, driver: Driver, start: Start) -> None:
        children = [start("write", "layer", 8, number) for number in range(4)]
        for child in children:
            rest_of(child)
        assert read(driver.open_reader("layer")) in [b"".join(generated(8, str(number))) for number in range(4)]

    def test_stream_in_constant_memory(self, driver: Driver, start: Start) -> None:
        blocks = STREAM // BLOCK
        grown = int(rest_of(start("write", "layer", blocks, "", "weigh")))
        assert grown < MEMORY_BYTES
        assert driver.stat("layer").size == STREAM
        digest, grown_reading = rest_of(start("read", "layer")).split()
        assert int(grown_reading) < MEMORY_BYTES
        expected = hashlib.sha256()
        for block in generated(blocks):
            expected.update(block)
        assert digest == expected.hexdigest()
        driver.delete("layer")
        with pytest.raises(PathNotFound):
            driver.stat("layer")
