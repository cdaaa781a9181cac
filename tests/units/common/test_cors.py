"""Pages of other origins: refused by browsers unless the operator allowed them, at both services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.cors import origins
from index_service.app import create_app as create_index
from index_service.settings import IndexSettings
from registry_service.app import create_app as create_registry
from registry_service.settings import RegistrySettings
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory

KEY = "k" * 32
UI, OTHER = "https://ui.example", "https://other.example"
PATHS = ["/v1/_ping", "/v1/search", "/v1/repositories/a/b/tags", f"/v1/images/{'a' * 64}/json", "/v1/nowhere"]


@pytest.fixture(params=["index", "registry"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Flask]:
    def make(*allowed: str) -> Flask:
        cors = {"cors_origins": origins(",".join(allowed))}
        if request.param == "index":
            database = f"sqlite:///{tmp_path}/index.db"
            return create_index(IndexSettings(secret_keys=(KEY,), database_url=database, **cors))
        return create_registry(RegistrySettings(standalone=True, hosts=("*",), **cors), Guard(Memory()))

    return make


def told(app: Flask, method: str, path: str, origin: str = "") -> dict[str, Any]:
    answer = app.test_client().open(path, method=method, headers={"Origin": origin} if origin else {})
    known = (
        "Allow",
        "Vary",
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Credentials",
    )
    return {"status": answer.status_code} | {name: answer.headers[name] for name in known if name in answer.headers}


@pytest.mark.parametrize("path", PATHS)
def test_nobody_is_let_in_by_default(make: Callable[..., Flask], path: str) -> None:
    for method in ("GET", "OPTIONS"):
        assert not [name for name in told(make(), method, path, UI) if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_that_is_allowed_reads_every_answer_also_failures(make: Callable[..., Flask], path: str) -> None:
    app = make(UI, "http://localhost:8080")
    for method in ("GET", "HEAD", "PUT"):
        answer = told(app, method, path, UI)
        assert answer["Access-Control-Allow-Origin"] == UI
        assert "Access-Control-Allow-Credentials" not in answer
        assert "Access-Control-Allow-Origin" not in told(app, method, path, OTHER)
        assert "Origin" in told(app, method, path)["Vary"]
    assert told(app, "GET", path, "http://localhost:8080")["Access-Control-Allow-Origin"] == "http://localhost:8080"


def test_a_preflight_request_is_answered(make: Callable[..., Flask]) -> None:
    path = "/v1/repositories/a/b/tags/latest"
    answer = told(make(UI), "OPTIONS", path, UI)
    assert (answer["status"], answer["Access-Control-Allow-Methods"]) == (204, "GET, HEAD, PUT, POST, DELETE")
    assert {"GET", "PUT", "DELETE", "OPTIONS"} <= set(answer["Allow"].split(", "))
    assert told(make(UI), "OPTIONS", path, OTHER) == {"status": 204, "Allow": answer["Allow"], "Vary": "Origin"}
    # Of any page nobody knows what it would write.
    assert told(make("*"), "OPTIONS", path, OTHER)["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert told(make("*"), "GET", path, OTHER)["Access-Control-Allow-Origin"] == "*"


def test_options_are_told_without_cors_too(make: Callable[..., Flask]) -> None:
    for path in ("/v1/search", "/v1/repositories/a/b/images"):
        assert told(make(), "OPTIONS", path)["status"] == 204
    assert told(make(), "OPTIONS", "/v1/nowhere")["status"] == 404


@pytest.mark.parametrize("text", ["ui.example", "https://ui.example/path", "*,https://ui.example", "https://", "null"])
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        origins(text)
