"""User-Agents, recorded, older, newer and odd (protocol §1.10)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.agents import Agent, docker_version, goes_on_by_v1, parse

RECORDED = "docker/0.9.1 go/go1.3.3 git-commit/0000000 kernel/3.13.0-24-generic os/linux arch/amd64 "


def test_recorded() -> None:
    assert parse(RECORDED) == Agent("0.9.1", "go1.3.3", "3.13.0-24-generic", "linux", "amd64")


def test_without_os_and_arch() -> None:
    assert parse("docker/0.6.7 go/go1.1.2 git-commit/cb48ecc kernel/3.8.0 ") == Agent("0.6.7", "go1.1.2", "3.8.0")


def test_upstream_client_does_not_count() -> None:
    agent = parse(r"docker/1.12.6 go/go1.6.4 os/linux UpstreamClient(Docker-Client/1.12.6 \(linux\) docker/9.9 os/x)")
    assert (agent.docker, agent.os) == ("1.12.6", "linux")


@pytest.mark.parametrize(
    ("user_agent", "version"),
    [
        (RECORDED, (0, 9)),
        ("docker/1.6.0-dev go/devel", (1, 6)),
        ("docker/17.05.0-ce go/go1.7.5", (17, 5)),
        ("docker/1.10 x", (1, 10)),
        ("docker/library-import", None),
        ("docker/1", None),
        ("docker/", None),
        ("docker/1.99999", None),
        ("Go-http-client/1.1", None),
        ("Go 1.1 package http", None),
        ("notdocker/0.9.1", None),
        ("curl/7.88", None),
        ("", None),
        ("x" * 100_000 + " docker/0.9", None),
    ],
)
def test_versions(user_agent: str, version: tuple[int, int] | None) -> None:
    assert docker_version(user_agent) == version


@given(st.text())
def test_nothing_raises(user_agent: str) -> None:
    parse(user_agent)
    docker_version(f"docker/{user_agent}")


@pytest.mark.parametrize(
    ("user_agent", "goes_on"),
    [
        (RECORDED, True),
        ("docker/1.6.2 go/go1.4.1", True),
        ("docker/17.05.0-ce go/go1.7.5", True),
        ("Go 1.1 package http", True),
        ("docker/17.06.0-ce go/go1.8.3", False),
        ("docker/20.10.24 go/go1.19.8 UpstreamClient(docker/1.6)", False),
        ("Docker-Client/28.2.2 (linux)", False),
        ("docker/library-import", False),
        ("docker/v28 (what)", False),
        ("Go-http-client/1.1", False),
        ("containerd/1.6.20~ds1", False),
        ("skopeo/1.9.3", False),
        ("", False),
    ],
)
def test_who_goes_on_by_v1(user_agent: str, goes_on: bool) -> None:
    assert goes_on_by_v1(user_agent) is goes_on
