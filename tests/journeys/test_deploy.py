"""`deploy/run`, which is `make run`: from nothing to a login, and away again without a trace of a process."""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from string import Template

import pytest
import yaml

from index_service.settings import load_settings as load_index_settings
from registry_service.settings import load_settings as load_registry_settings
from tests.clients.wire import Target, call
from tests.servers.process import Process, eventually, free_port, listening
from tests.servers.services import BIN, ROOT

RUN = str(ROOT / "deploy" / "run")
PASSWORD = "harbour-master-7"
ALICE = f"Basic {base64.b64encode(f'alice:{PASSWORD}'.encode()).decode()}"


@pytest.fixture
def ports():
    return free_port(), free_port()


@pytest.fixture
def environ(tmp_path, ports):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WHARFINGER_")}
    return {
        **kept,
        "BIN": str(BIN),
        "VAR": str(tmp_path / "var"),
        "WHARFINGER_INDEX_LISTEN": f"127.0.0.1:{ports[0]}",
        "WHARFINGER_REGISTRY_LISTEN": f"127.0.0.1:{ports[1]}",
    }


def started(environ, ports, *words):
    process = Process("run", [RUN, *words], Path(environ["VAR"]).parent, environ)
    process.start(lambda: all(listening(port) for port in ports))
    return process


def answer(port, request, **headers):
    return call(Target("http", "127.0.0.1", port), request, **headers)


def gone(ports):
    return not any(listening(port) for port in ports)


def test_from_nothing_to_a_login(environ, ports):
    with started(environ, ports) as process:
        eventually(lambda: answer(ports[0], "GET /v1/_ping").status == 200, process.tail)
        made = subprocess.run(
            [RUN, "index", "create-user", "--admin", "--email", "a@example.com", "alice"],
            env=environ,
            input=f"{PASSWORD}\n{PASSWORD}\n",
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        login = answer(ports[0], "GET /v1/users/", headers={"Authorization": ALICE})
        assert login.status == 200
        eventually(lambda: answer(ports[1], "GET /v1/_status").status == 200, process.tail)
        said = process.tail(200)
        for line in (f"http://127.0.0.1:{ports[0]}", f"docker push 127.0.0.1:{ports[0]}/alice/busybox", "create-user"):
            assert line in said
        os.kill(process.pid, signal.SIGINT)
        assert process.wait() == 0
    assert gone(ports)
    keys = [(Path(environ["VAR"]) / f"secret-key-{name}").read_text(encoding="ascii") for name in ("index", "registry")]
    assert len(set(keys)) == 2
    open_to_others = [path for path in Path(environ["VAR"]).rglob("*") if path.stat().st_mode & 0o077]
    assert not open_to_others


def test_the_data_of_an_earlier_run_are_shut_and_its_key_stays(environ, ports):
    folder = Path(environ["VAR"])
    folder.mkdir(mode=0o755)
    (folder / "secret-key").write_text("k" * 64 + "\n", encoding="ascii")
    with started(environ, ports) as process:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "secret-key-index").read_text(encoding="ascii") == "k" * 64 + "\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_standalone_serves_and_ends(environ, ports, number):
    with started(environ, ports[1:], "standalone") as process:
        eventually(lambda: answer(ports[1], "GET /v1/_ping").status == 200, process.tail)
        assert answer(ports[1], "GET /v1/_ping").header("X-Docker-Registry-Standalone") == "true"
        os.kill(process.pid, number)
        assert process.wait() == 0
    assert gone(ports)


def test_one_that_cannot_start_takes_the_other_along(environ, ports):
    environ["WHARFINGER_REGISTRY_STORAGE"] = "tape"
    done = subprocess.run([RUN], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "storage 'tape' is unknown" in done.stderr
    assert "Traceback" not in done.stderr
    assert gone(ports)


class Unit:
    """A systemd unit's [Service], its specifier filled in and its programs taken from this environment."""

    def __init__(self, name: str, instance: str = "") -> None:
        # Some keys stand several times; none of those that are read here.
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str
        parser.read(ROOT / "deploy" / "systemd" / name)
        self._lines = {
            key: value.replace("%i", instance).replace("/opt/wharfinger/bin", str(BIN))
            for key, value in parser["Service"].items()
        }

    def start(self, folder: Path, port: int, environ_file: dict[str, str]) -> Process:
        """What systemd does with these lines, as far as they say what to run and with what."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("WHARFINGER_")}
        own = dict([self._lines["Environment"].split("=", 1)]) if "Environment" in self._lines else {}
        environ = {**kept, **own, **environ_file}
        if "ExecStartPre" in self._lines:
            subprocess.run(self._lines["ExecStartPre"].split(), env=environ, check=True, capture_output=True)
        process = Process("unit", self._lines["ExecStart"].split(), folder, environ)
        process.start(lambda: listening(port))
        return process


def test_the_units_start_an_index_and_a_registry(tmp_path, ports):
    (tmp_path / "store").mkdir()
    index_file = {
        "WHARFINGER_INDEX_LISTEN": f"127.0.0.1:{ports[0]}",
        "WHARFINGER_INDEX_DATABASE_URL": f"sqlite:///{tmp_path}/index.db",
        "WHARFINGER_INDEX_SECRET_KEYS": "k" * 32,
    }
    registry_file = {
        "WHARFINGER_REGISTRY_INDEX_URL": f"http://127.0.0.1:{ports[0]}",
        "WHARFINGER_REGISTRY_SECRET_KEYS": "k" * 32,
        "WHARFINGER_REGISTRY_STORAGE_PATH": str(tmp_path / "store"),
    }
    index, registry = Unit("wharfinger-index.service"), Unit("wharfinger-registry@.service", str(ports[1]))
    with (
        index.start(tmp_path / "index", ports[0], index_file) as running,
        registry.start(tmp_path / "registry", ports[1], registry_file),
    ):
        eventually(lambda: answer(ports[1], "GET /v1/_status").status == 200, running.tail)


@pytest.mark.parametrize("unit", sorted((ROOT / "deploy" / "systemd").glob("*.service")), ids=lambda path: path.name)
def test_the_units_expose_little(unit):
    """By systemd's own measure, in which 10 is a process that may do anything."""
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(unit)], capture_output=True, text=True
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Overall exposure level" in judged.stdout


def test_no_container_can_do_more_than_it_must():
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name
        assert "cap_add" not in service or name == "nginx", name
        assert "image" not in service or re.search(r":\d+(\.\d+)+$", service["image"]), name
    base = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()[1]
    assert re.fullmatch(r"FROM python:\d+\.\d+\.\d+-slim-\w+", base)


def test_the_compose_file_says_what_the_services_understand():
    """No engine runs here: what can be held true is that every setting, command, file and mount in it exists."""
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yml").read_text(encoding="utf-8"))
    keys = {"INDEX_SECRET_KEY": "i" * 32, "REGISTRY_SECRET_KEY": "r" * 32}
    environ = {"DATABASE_PASSWORD": "secret", "HOST_NAME": "registry.example", **keys}
    load = {"wharfinger-index": load_index_settings, "wharfinger-registry": load_registry_settings}
    for service in compose["services"].values():
        command = service.get("command", ["none"])
        if command[0] in load:
            load[command[0]]({key: Template(text).substitute(environ) for key, text in service["environment"].items()})
            assert command[1] in subprocess.run([BIN / command[0], "--help"], capture_output=True, text=True).stdout
            assert (ROOT / "deploy" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in compose["volumes"] or (ROOT / "deploy" / source).exists()


def test_the_compose_site_differs_from_the_example_in_its_addresses_only():
    example = (ROOT / "deploy" / "nginx" / "site.conf").read_text(encoding="utf-8").splitlines()
    compose = (ROOT / "deploy" / "nginx" / "site-compose.conf").read_text(encoding="utf-8").splitlines()
    differing = [new for old, new in zip(example[1:], compose[1:], strict=True) if old != new]
    assert all(line.split()[0] in ("server", "resolver") for line in differing)


def test_the_image_is_made_of_files_that_exist():
    lines = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    [command] = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    assert (BIN / command[0]).exists()
    assert (ROOT / "constraints.txt").exists()
