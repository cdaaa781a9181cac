"""The way out of v1 with nothing but Skopeo: `skopeo sync` from here to distribution 2.8.2, digests compared; and the
rows of the distribution specification hold there as they do here, so that they are no rows of our own making."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.generations import NEWEST, V0_8, V1_6
from tests.clients.images import make_chain
from tests.clients.today import Skopeo, run
from tests.clients.wire import Target, call
from tests.conformance.distribution import Run, Session
from tests.journeys.test_generations import chain_for, daemon_of
from tests.journeys.test_today import manifest_of, same_layers
from tests.servers.distribution import running
from tests.servers.process import require
from tests.servers.services import ROOT
from tests.servers.setups import ALICE, SetUp

OF_THREE_AGES = (V0_8, V1_6, NEWEST)

SINCE_3_0 = {"all tags, in order", "0 tags", "1 tags", "2 tags", "tags behind one"}
"""Before, distribution neither sorts tags nor has pages of them."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with running(tmp_path_factory.mktemp("distribution")) as started:
        yield started


def sync(setup: SetUp, name: str, target: Target, folder: Path) -> str:
    """Copy a repository; its name there."""
    trust = ("--src-tls-verify=false", "--dest-tls-verify=false")
    login = () if setup.index_service is None else ("--src-creds", f"{ALICE.name}:{ALICE.password}")
    words = ("--src", "docker", "--dest", "docker", *trust, *login)
    namespace, _, last = name.partition("/")
    there = f"{target.netloc}/{setup.name}/{namespace}"
    skopeo = require("skopeo", "skopeo")
    run(skopeo, "--insecure-policy", "sync", *words, f"{setup.index.netloc}/{name}", there, home=folder)
    return f"{setup.name}/{namespace}/{last}"


def digest_at(target: Target, name: str, tag: str) -> str:
    accepted = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    answer = call(target, f"HEAD /v2/{name}/manifests/{tag}", accepted)
    assert answer.status == 200, answer
    return answer.header("Docker-Content-Digest") or ""


@pytest.mark.parametrize("setup", ["standalone-http", "split-http"], indirect=True)
def test_skopeo_syncs_a_repository(setup: SetUp, target: Target, tmp_path: Path) -> None:
    name = setup.fresh_name("leaving")
    chains = {generation.name: chain_for(generation) for generation in OF_THREE_AGES}
    for generation in OF_THREE_AGES:
        daemon_of(generation, setup).push(name, chains[generation.name], generation.name)
    there, skopeo = sync(setup, name, target, tmp_path), Skopeo(tmp_path)
    for tag, chain in chains.items():
        same_layers(skopeo.pull(target, f"{there}:{tag}"), chain)
        assert digest_at(target, there, tag) == manifest_of(setup, name, tag)


def test_skopeo_compresses_what_is_not(standalone: SetUp, target: Target, tmp_path: Path) -> None:
    """So the manifest has another digest; the image's id stays, and `export` sends it as it is."""
    name, chain = standalone.fresh_name("plain"), make_chain(2, packing="plain")
    daemon_of(V1_6, standalone).push(name, chain)
    there, skopeo = sync(standalone, name, target, tmp_path), Skopeo(tmp_path)
    assert digest_at(target, there, "latest") != manifest_of(standalone, name, "latest")
    assert skopeo.pull(target, there) == skopeo.pull(standalone.index, name)


def test_rows_hold_at_distribution(standalone: SetUp, target: Target, tmp_path: Path) -> None:
    name, chain = standalone.fresh_name("rows"), chain_for(NEWEST)
    for tag in ("one", "latest", "Two"):
        daemon_of(NEWEST, standalone).push(name, chain, tag)
    there = sync(standalone, name, target, tmp_path)
    outcomes = list(Run(Session(target), there, "one").outcomes())
    assert {each.says for each in outcomes if each.complaint} == SINCE_3_0, "\n".join(map(str, outcomes))
    ours = list(Run(Session(standalone.index), name, "one").outcomes())
    assert [each.says for each in outcomes] == [each.says for each in ours]
    command = [sys.executable, "-m", "tests.conformance.distribution", "--url", target.url, "--name", there]
    done = subprocess.run([*command, "--tag", "one"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith(f"{len(outcomes)} rows, {len(SINCE_3_0)} failed\n")
