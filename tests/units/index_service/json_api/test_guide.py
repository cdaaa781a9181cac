"""The examples of docs/api.md, run one after the other as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.units.index_service.site import IMAGES, basic

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "api.md"
HOST = "https://images.example.com"


def examples():
    for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL):
        yield from block.splitlines()


def run(world, line):
    """What curl would ask."""
    words = shlex.split(line)
    assert words.pop(0) == "curl"
    method, auth, body, (url,) = None, None, None, [word for word in words if word.startswith(HOST)]
    given = iter(word for word in words if word != url)
    for option in given:
        value = next(given)
        if option == "-X":
            method = value
        elif option == "-u":
            auth = basic(*value.split(":", 1))
        elif option == "-H":
            auth = value.removeprefix("Authorization: ")
        else:
            assert option == "-d"
            body = value
    method = method or ("GET" if body is None else "POST")
    return world.site.request(method, url.removeprefix(HOST), auth=auth, raw=body)


def test_every_example_works(world):
    known = {"PASSWORD": "password-alice", "IMAGE": IMAGES[0]}
    lines = list(examples())
    assert len(lines) > 10
    for line in lines:
        for name, value in known.items():
            line = line.replace(name, value)  # noqa: PLW2901
        answer = run(world, line)
        assert answer.status_code in (200, 201, 204), (line, answer.data)
        if "secret" in (answer.get_json(silent=True) or {}):
            known["TOKEN"] = answer.get_json()["secret"]
    assert world.ask("GET", "/repositories/alice/app").get_json()["head"]["description"] == "Sails everywhere"
    assert world.ask("GET", "/repositories/alice/doomed").status_code == 404
