"""Configs against a Docker 1.12.6, and against what the OCI image specification demands.

`docker_1_12_6.json.gz` holds chains of image JSONs, the base first, the diff ids of their layers, and the id that a
real Docker 1.12.6 computed for the last of each when it pulled it from a v1 registry.
"""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid
from registry_service.oci import v1_image
from registry_service.oci.config import history_step, image_config
from registry_service.oci.digests import Digest

DIFF_ID = Digest.of(b"tar")
CHAINS = json.loads(gzip.decompress((Path(__file__).parent / "docker_1_12_6.json.gz").read_bytes()))


def written(jsons: list[bytes], diff_ids: list[Digest]) -> bytes:
    return image_config(jsons[-1], diff_ids, [history_step(each, is_left_out=False) for each in jsons])


@pytest.mark.parametrize("chain", CHAINS, ids=[chain["name"] for chain in CHAINS])
def test_ids_are_those_of_docker(chain: dict[str, Any]) -> None:
    diff_ids = [Digest.parse(diff_id) for diff_id in chain["diff_ids"]]
    assert Digest.of(written([described.encode() for described in chain["jsons"]], diff_ids)) == chain["id"]


def config_of(*jsons: bytes | dict[str, Any]) -> dict[str, Any]:
    raw = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in jsons]
    config: dict[str, Any] = json.loads(written(raw, [DIFF_ID] * len(raw)))
    return config


OLD, NEW = "1.8.2", "1.8.3"


@pytest.mark.parametrize(
    ("version", "is_raw"),
    [
        ("1.8.3", True), ("1.8.3.0", True), ("1.8.4", True), ("1.9", True), ("1.10.0-dev", True), ("2", True),
        ("17.05.0-ce", True), ("1.8.3.-1", False), ("99999999999999999999999", True), ("+1.+8.+3", True),
        ("1.8.2", False), ("1.8.3-rc1", False), ("0.6.3", False), ("", False), ("library-import", False),
        ("1.8", False),
    ],
)  # fmt: skip
def test_members_are_kept_raw_since_a_version(version: str, is_raw: bool) -> None:
    assert ("Unknown" in config_of({"docker_version": version, "Unknown": 1})) == is_raw


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, "amd64"), ({"architecture": ""}, "amd64"), ({"architecture": "x86_64"}, "amd64"),
        ({"architecture": "i386"}, "386"), ({"architecture": "aarch64"}, "arm64"), ({"architecture": "arm"}, "arm"),
        ({"architecture": None}, "amd64"), ({"architecture": 1}, "amd64"), ({"Architecture": "arm"}, "arm"),
    ],
)  # fmt: skip
def test_architecture_is_in_the_words_of_go(version: str, said: dict[str, Any], found: str) -> None:
    assert config_of({"docker_version": version, **said})["architecture"] == found


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize(
    ("said", "found"), [({}, "linux"), ({"os": ""}, "linux"), ({"os": 1}, "linux"), ({"os": "x"}, "x")]
)
def test_operating_system(version: str, said: dict[str, Any], found: str) -> None:
    assert config_of({"docker_version": version, **said})["os"] == found


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize(
    "said", ["yesterday", "", 5, None, "2015-02-30T00:00:00Z", "2015-01-01 00:00:00Z", "0000-01-01T00:00:00Z"]
)
def test_time_that_is_none(version: str, said: Any) -> None:
    config = config_of({"docker_version": version, "created": said})
    assert config["created"] == config["history"][0]["created"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("2015-05-10T12:00:00Z", "2015-05-10T12:00:00Z"),
        ("2015-05-10T12:00:00.100Z", "2015-05-10T12:00:00.1Z"),
        ("2015-05-10T12:00:00.000Z", "2015-05-10T12:00:00Z"),
        ("2015-05-10T12:00:00.1234567899Z", "2015-05-10T12:00:00.123456789Z"),
        ("2015-05-10T12:00:00.5+02:00", "2015-05-10T12:00:00.5+02:00"),
        ("2015-05-10T12:00:00-00:00", "2015-05-10T12:00:00Z"),
        (None, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_of_the_history(said: str | None, told: str) -> None:
    described = {"docker_version": NEW} if said is None else {"docker_version": NEW, "created": said}
    config = config_of(described)
    assert config["history"][0]["created"] == told
    assert config.get("created") == said


@pytest.mark.parametrize("said", ["text", 1, [], None, True])
def test_config_that_is_no_object(said: Any) -> None:
    assert config_of({"docker_version": NEW, "config": said})["config"] == {}


def test_config_that_is_not_there_stays_away() -> None:
    for version in (OLD, NEW):
        assert "config" not in config_of({"docker_version": version})


def test_keys_in_another_case_and_again_count_as_in_go() -> None:
    old = config_of(
        b'{"CONFIG": {"hostname": "a", "Labels": {"x": "1"}}, "author": "first", "Author": "last", "ID": "x",'
        b' "config": {"Labels": {"y": "2"}, "cmd": "run", "Cmd": null}, "Docker_Version": "1.0",'
        b' "container_config": {"Cmd": ["a", null]}}'
    )
    assert old["config"]["Hostname"] == "a"
    assert old["config"]["Labels"] == {"x": "1", "y": "2"}
    assert old["config"]["Cmd"] is None
    assert old["author"] == old["history"][0]["author"] == "last"
    assert old["docker_version"] == "1.0"
    assert "id" not in old
    assert old["history"][0]["created_by"] == "a "


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ('"Volumes":{%s}', '"Volumes":{}'),
        ('"Labels":{%s}', '"Labels":{}'),
        ('"config":{"Volumes":{%s}}', '"config":{}'),
    ],
)
def test_time_of_a_key_that_comes_again_and_again_is_linear(first: str, again: str) -> None:
    """A quadratic decoder needs seconds for the longer one."""

    def seconds(count: int) -> float:
        members = first % ",".join(f'"{index}":""' for index in range(count)) + ("," + again) * count
        raw = members if first.startswith('"config"') else f'"config":{{{members}}}'
        began = time.process_time()
        v1_image.decode(f"{{{raw}}}".encode())
        return time.process_time() - began

    # What else the machine does may slow one of them down, not each time the longer one.
    assert any(seconds(20_000) < 40 * max(seconds(2_000), 0.005) for _ in range(5))


def test_images_share_no_values() -> None:
    """They are updated in place."""
    raw = b'{"config": {"Volumes": {"/a": {}}}, "container_config": {"Labels": {"a": "b"}, "Volumes": {"/b": {}}}}'
    first = v1_image.decode(raw)
    empty = v1_image.decode(b'{"config": {}}')
    assert first["config"]["Volumes"] == {"/a": None}
    assert first["container_config"]["Labels"] == {"a": "b"}
    assert empty["config"] == empty["container_config"] == v1_image.decode(b"{}")["container_config"]
    assert empty["config"]["Volumes"] is None


def test_what_does_not_fit_stays_as_it_was() -> None:
    wrong = {"Hostname": 1, "Tty": "yes", "Env": "a=b", "Cmd": [1], "Labels": [], "Volumes": "x", "Healthcheck": 1}
    config = config_of({"docker_version": OLD, "config": wrong, "author": ["x"], "comment": {}})
    assert config["config"]["Hostname"] == ""
    assert config["config"]["Tty"] is False
    assert config["config"]["Env"] is config["config"]["Cmd"] is config["config"]["Labels"] is None
    assert "author" not in config


def test_fields_that_docker_1_12_has_for_newer_images() -> None:
    new = {"Healthcheck": {"Test": ["CMD"], "Interval": 5, "Retries": 0}, "ArgsEscaped": True, "Shell": ["sh"]}
    config = config_of({"docker_version": OLD, "config": {**new, "Memory": 1}})
    assert config["config"]["Healthcheck"] == {"Test": ["CMD"], "Interval": 5}
    assert list(config["config"])[-3:] == ["OnBuild", "Labels", "Shell"]
    assert "Memory" not in config["config"]


_scalars = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_FIELDS = [
    "id", "parent", "created", "container", "container_config", "docker_version", "author", "config", "architecture",
    "os", "Size", "comment", "throwaway", "Unknown", "Hostname", "Cmd", "Env", "Labels", "Volumes", "Healthcheck",
]  # fmt: skip
_described = st.dictionaries(
    st.sampled_from(_FIELDS),
    _json | st.dictionaries(st.sampled_from(_FIELDS), _json, max_size=4),
    max_size=6,
)


@given(_described, st.sampled_from([OLD, NEW, None]))
def test_any_json_becomes_a_config_of_the_specification(described: dict[str, Any], version: str | None) -> None:
    if version is not None:
        described = {**described, "docker_version": version}
    config = config_of({"docker_version": OLD}, described)
    assert config["rootfs"] == {"type": "layers", "diff_ids": [DIFF_ID, DIFF_ID]}
    assert len(config["history"]) == 2
    assert isinstance(config["architecture"], str)
    assert isinstance(config["os"], str)
    assert config["architecture"]
    assert config["os"]
    assert isinstance(config.get("config", {}), dict)
    assert list(config) == sorted(config, key=str.encode)
    assert not {"id", "parent", "Size", "throwaway"} & set(config)


@given(_described, st.randoms(use_true_random=False))
def test_order_and_blanks_do_not_matter(described: dict[str, Any], random: Any) -> None:
    described = {**described, "docker_version": NEW}
    members = list(described.items())
    random.shuffle(members)
    one = written([json.dumps(described).encode()], [DIFF_ID])
    other = written([json.dumps(dict(members), indent=3).encode()], [DIFF_ID])
    assert one == other


@pytest.mark.parametrize("raw", [b"", b"no", b"[]", b"1", b"{} {}"])
def test_no_json(raw: bytes) -> None:
    with pytest.raises(Invalid):
        config_of(raw)
