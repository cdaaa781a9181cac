"""What daemons pushed by v1, today's clients pull by `/v2/`: from one address or two, behind nginx, from a registry
alone; the files are the same, and who may not read is told so in words."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.generations import NEWEST, V0_8, V1_6, Generation
from tests.clients.images import Chain, make_image
from tests.clients.today import (
    ClientFailed,
    Containerd,
    Docker,
    Podman,
    Pulled,
    Skopeo,
    digest_of,
    files_below,
    files_in,
    start_containerd,
    start_docker,
)
from tests.clients.wire import Target, call
from tests.journeys.test_generations import chain_for, daemon_of
from tests.journeys.test_object_store import standing, start_on_store
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.radosgw import Radosgw
from tests.servers.services import index_command, running
from tests.servers.setups import ALICE, MALLORY, SetUp

HTTP = "--tls-verify=false"
CTR_PULL = ("images", "pull", "--plain-http", "--snapshotter", "native")
WHERE = ("standalone-http", "split-http", "one-host-http", "one-host-tls")


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    with start_docker(tmp_path_factory.mktemp("docker") / "d") as started:
        yield started


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    with start_containerd(tmp_path_factory.mktemp("containerd") / "c") as started:
        yield started


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    """In a folder with a short name: Podman takes a runroot of fifty characters."""
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:
        yield Podman.made(Path(folder) / "p")


def pushed(setup: SetUp, words: str, generation: Generation = NEWEST, tag: str = "latest") -> tuple[str, Chain]:
    name, chain = setup.fresh_name(words), chain_for(generation)
    daemon_of(generation, setup).push(name, chain, tag)
    return name, chain


def make_private(setup: SetUp, name: str) -> None:
    assert setup.index_service is not None
    index_command(setup.index_service.environ, "set-access", name, "private")


def same_layers(pulled: Pulled, chain: Chain) -> None:
    """But for the blocks of zeros at the end of an archive, which the first daemons pack none of."""
    assert [tar.rstrip(b"\0") for tar in pulled.tars] == [image.tar.rstrip(b"\0") for image in chain]


@pytest.mark.parametrize("setup", WHERE, indirect=True)
def test_skopeo_gets_what_every_generation_pushed(setup: SetUp, tmp_path: Path) -> None:
    skopeo = Skopeo(tmp_path, ALICE if setup.index_service else None)
    for generation in (V0_8, V1_6, NEWEST):
        name, chain = pushed(setup, "today", generation, "one")
        first = skopeo.pull(setup.index, f"{name}:one")
        same_layers(first, chain)
        assert skopeo.tags(setup.index, name) == ["one"]
        by_v2 = manifest_of(setup, name, "one")
        assert skopeo.pull(setup.index, f"{name}@{by_v2}") == first
        told = skopeo.inspect(setup.index, f"{name}:one")
        assert (told["Digest"], told["RepoTags"], len(told["Layers"])) == (by_v2, ["one"], len(chain))
    assert with_those_of(skopeo.unpacked(setup.index, f"{name}:one"), chain)


def manifest_of(setup: SetUp, name: str, tag: str) -> str:
    """The digest that a tag has at the registry."""
    headers = {}
    if setup.index_service is not None:
        token = call(setup.index, f"GET /v2/token?scope=repository:{name}:pull").json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
    answer = call(setup.registry, f"HEAD /v2/{name}/manifests/{tag}", headers)
    assert answer.status == 200, answer
    return answer.header("Docker-Content-Digest") or ""


@pytest.mark.parametrize("setup", ["split-http", "one-host-http"], indirect=True)
def test_who_may_not_read_gets_nothing(setup: SetUp, tmp_path: Path) -> None:
    name, chain = pushed(setup, "secret")
    make_private(setup, name)
    same_layers(Skopeo(tmp_path, ALICE).pull(setup.index, name), chain)
    for stranger in (Skopeo(tmp_path, MALLORY), Skopeo(tmp_path)):
        said = []
        for reference in (name, f"{ALICE.name}/absent"):
            with pytest.raises(ClientFailed) as refused:
                stranger.pull(setup.index, reference)
            said.append(re.sub(r"\S*(secret-\w+|absent)\S*|\d\d:\d\d:\d\d\S*|time=\S+", "", str(refused.value)))
        # A name that is taken sounds as one that is not.
        assert "denied" in said[0]
        assert said[0] == said[1]


def test_docker_pulls_what_it_can_no_longer_push(split: SetUp, docker: Docker) -> None:
    (name, chain), host = pushed(split, "docker", V1_6), split.index.netloc
    docker("pull", "-q", f"{host}/{name}")
    assert with_those_of(docker.files(f"{host}/{name}"), chain)
    described = json.loads(docker("image", "inspect", f"{host}/{name}"))[0]
    assert described["RootFS"]["Layers"] == [digest_of(image.tar) for image in chain]
    (digest,) = described["RepoDigests"]
    manifest = json.loads(docker("manifest", "inspect", "--insecure", f"{host}/{name}"))
    assert manifest["config"]["digest"] == described["Id"]
    docker("image", "rm", "-f", described["Id"])
    docker("pull", "-q", digest)
    assert json.loads(docker("image", "inspect", digest))[0]["Id"] == described["Id"]
    daemon_of(V1_6, split).push(name, chain_for(V1_6), "other")
    assert "other: Pulling" in docker("pull", "-a", f"{host}/{name}")


def with_those_of(files: dict[str, bytes], chain: Chain) -> bool:
    """Whether files are those of a chain; the clients add a few of their own."""
    wanted = files_in(chain)
    return {name: files.get(name) for name in wanted} == wanted


def test_docker_builds_on_what_was_pushed(split: SetUp, docker: Docker, tmp_path: Path) -> None:
    (name, chain), host = pushed(split, "base", V1_6), split.index.netloc
    (tmp_path / "Dockerfile").write_text(
        f"FROM {host}/{name}@{manifest_of(split, name, 'latest')}\nCOPY added /added\n"
    )
    (tmp_path / "added").write_text("by today's")
    docker("build", "-q", "-t", "built", str(tmp_path))
    files = docker.files("built")
    assert files["added"] == b"by today's"
    assert with_those_of(files, chain)


@pytest.mark.parametrize("where", ["index", "registry"])
def test_docker_logs_in_and_says_what_is_denied(split: SetUp, docker: Docker, where: str) -> None:
    (name, chain), host = pushed(split, "private"), getattr(split, where).netloc
    make_private(split, name)
    for reference in (name, f"{ALICE.name}/absent"):
        with pytest.raises(ClientFailed, match="pull access denied"):
            docker("pull", f"{host}/{reference}")
    with pytest.raises(ClientFailed, match=r"(?i)unauthorized"):
        docker("login", "-u", ALICE.name, "-p", "wrong-password", host)
    assert "Login Succeeded" in docker("login", "-u", ALICE.name, "-p", ALICE.password, host)
    try:
        docker("pull", "-q", f"{host}/{name}")
        assert with_those_of(docker.files(f"{host}/{name}"), chain)
        with pytest.raises(ClientFailed, match=r"not found|manifest unknown"):
            docker("pull", f"{host}/{name}:absent")
        docker("tag", f"{host}/{name}", f"{host}/{name}:more")
        with pytest.raises(ClientFailed, match="pushed by v1"):
            docker("push", f"{host}/{name}:more")
    finally:
        docker("logout", host)


def test_containerd_pulls(split: SetUp, containerd: Containerd) -> None:
    (name, chain), host = pushed(split, "containerd"), split.index.netloc
    make_private(split, name)
    with pytest.raises(ClientFailed, match=r"denied|authorization failed"):
        containerd(*CTR_PULL, f"{host}/{name}:latest")
    containerd(*CTR_PULL, "-u", f"{ALICE.name}:{ALICE.password}", f"{host}/{name}:latest")
    same_layers(containerd.image(f"{host}/{name}:latest"), chain)


def test_podman_logs_in_finds_and_pulls(split: SetUp, podman: Podman) -> None:
    (name, chain), (public, _), host = pushed(split, "podman"), pushed(split, "shown"), split.index.netloc
    make_private(split, name)
    for reference in (name, f"{ALICE.name}/absent"):
        with pytest.raises(ClientFailed, match=r"denied|unauthorized"):
            podman("pull", "-q", HTTP, f"{host}/{reference}")
    with pytest.raises(ClientFailed, match="invalid username/password"):
        podman("login", HTTP, "-u", ALICE.name, "-p", "wrong-password", host)
    assert "Login Succeeded" in podman("login", HTTP, "-u", ALICE.name, "-p", ALICE.password, host)
    # It shows nobody's password where it searches.
    for searched, found in ((public, [f"{host}/{public}"]), (name, [])):
        assert podman("search", HTTP, "--format", "{{.Name}}", f"{host}/{searched}").split() == found
    assert "latest" in podman("search", HTTP, "--list-tags", f"{host}/{name}")
    podman("pull", "-q", HTTP, f"{host}/{name}")
    assert with_those_of(podman.files(f"{host}/{name}"), chain)
    with pytest.raises(ClientFailed, match="manifest unknown"):
        podman("pull", "-q", HTTP, f"{host}/{name}:absent")
    podman("logout", host)


def test_buildah_builds_on_what_was_pushed(split: SetUp, podman: Podman) -> None:
    (name, chain), host = pushed(split, "buildah", V1_6), split.index.netloc
    container = podman.buildah("from", "-q", HTTP, f"{host}/{name}@{manifest_of(split, name, 'latest')}").strip()
    assert with_those_of(files_below(Path(podman.buildah("mount", container).strip())), chain)
    with pytest.raises(ClientFailed, match=r"denied|unauthorized"):
        podman.buildah("from", HTTP, f"{host}/{ALICE.name}/absent")


def test_a_pull_goes_on_after_a_cut(split: SetUp, docker: Docker, containerd: Containerd, tmp_path: Path) -> None:
    """Docker and containerd ask for the rest; skopeo of this age fails, and succeeds when it is called again."""
    name, image = split.fresh_name("cut"), make_image(size=1_000_000)
    daemon_of(NEWEST, split).push(name, (image,))
    with FaultProxy(split.registry) as way:
        ranges = cut_each_first(way, digest_of(image.layer))
        docker("pull", "-q", f"{way.target.netloc}/{name}")
        assert with_those_of(docker.files(f"{way.target.netloc}/{name}"), (image,))
        assert [asked.partition("=")[0] for asked in ranges] == ["", "bytes"]
        ranges.clear()
        containerd(*CTR_PULL, f"{way.target.netloc}/{name}:latest")
        same_layers(containerd.image(f"{way.target.netloc}/{name}:latest"), (image,))
        assert [asked.partition("=")[0] for asked in ranges] == ["", "bytes"]
        ranges.clear()
        skopeo = Skopeo(tmp_path)
        with pytest.raises(ClientFailed, match="EOF"):
            skopeo.pull(way.target, name)
        same_layers(skopeo.pull(way.target, name), (image,))


def cut_each_first(way: FaultProxy, blob: str) -> list[str]:
    """Cut the first answer with this blob since the list was cleared: of the ranges that were asked for."""
    ranges: list[str] = []

    def cut(exchange: Exchange) -> None:
        if exchange.method != "GET" or blob not in exchange.target:
            exchange.pass_on()
            return
        ranges.append(exchange.request.header("Range"))
        if len(ranges) == 1:
            exchange.cut_answer(300_000)
        else:
            exchange.pass_on()

    way.plan(cut)
    return ranges


def test_clients_follow_the_redirects_of_a_store(
    radosgw: Radosgw, docker: Docker, containerd: Containerd, tmp_path: Path
) -> None:
    with FaultProxy(Target.parse(radosgw.url)) as way:
        registry = start_on_store(tmp_path / "registry", radosgw, "redirect", way.url)
        with running(registry):
            setup, host = standing(registry), registry.target.netloc
            name, chain = pushed(setup, "led")
            for pull in (
                lambda: same_layers(Skopeo(tmp_path).pull(registry.target, name), chain),
                lambda: docker("pull", "-q", f"{host}/{name}"),
                lambda: containerd(*CTR_PULL, f"{host}/{name}:latest"),
            ):
                way.asked.clear()
                pull()
                assert len([line for line in way.asked if line.startswith("GET ")]) >= len(chain)
            assert with_those_of(docker.files(f"{host}/{name}"), chain)
            same_layers(containerd.image(f"{host}/{name}:latest"), chain)


def test_nothing_that_opens_a_repository_is_logged(split: SetUp, tmp_path: Path) -> None:
    name, _ = pushed(split, "logged")
    token = call(split.index, f"GET /v2/token?scope=repository:{name}:pull").json()["token"]
    answer = call(split.index, f"GET /v2/{name}/tags/list", {"Authorization": f"Bearer {token}"})
    passed = (answer.header("Location") or "").partition("token=")[2]
    assert (answer.status, bool(passed)) == (307, True)
    call(split.registry, f"GET /v2/{name}/tags/list?token={passed}&n=x")
    assert split.index_service is not None
    for service in (split.index_service, split.registry_service):
        assert passed not in service.process.log.read_text(encoding="utf-8")
