"""The docs' tables are held against the code: settings, routes, the tree."""

from __future__ import annotations

import configparser
import dataclasses
import re
from pathlib import Path

import pytest

from common import metrics
from common.settings import variable
from index_service import metrics as index_metrics
from index_service.app import create_app as create_index
from index_service.settings import IndexSettings
from registry_service import metrics as registry_metrics
from registry_service.app import create_app as create_registry
from registry_service.settings import RegistrySettings
from registry_service.storage.gcs.settings import GcsSettings
from registry_service.storage.glance.settings import GlanceSettings
from registry_service.storage.memory import Memory
from registry_service.storage.s3.settings import S3Settings
from registry_service.storage.swift.account import SwiftSettings

ROOT = Path(__file__).resolve().parents[2]
KEY = "k" * 32


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head, back-quotes dropped."""
    section = (ROOT / "docs" / page).read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1]
    section = re.split(r"\n###? ", section, maxsplit=1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


def shown(value: object) -> str:
    """A default as an operator would write it."""
    if value is dataclasses.MISSING:
        return "(must be set)"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


SETTINGS = [
    ("settings.md", "Index", "index", IndexSettings),
    ("settings.md", "Registry", "registry", RegistrySettings),
    ("storage.md", "S3", "s3", S3Settings),
    ("storage.md", "Google Cloud Storage", "gcs", GcsSettings),
    ("storage.md", "Swift", "swift", SwiftSettings),
    ("storage.md", "Glance", "glance", GlanceSettings),
]


@pytest.mark.parametrize(("page", "heading", "service", "cls"), SETTINGS)
def test_every_setting_stands_in_its_page(page, heading, service, cls):
    declared = [
        [variable(service, field.name), shown(field.default), field.metadata["doc"]]
        for field in dataclasses.fields(cls)
    ]
    assert table(page, heading) == declared


@pytest.mark.parametrize("heading", ["Index", "Registry", "Standalone registry"])
def test_every_route_stands_in_the_routes_page(heading, tmp_path):
    app = {
        "Index": lambda: create_index(IndexSettings(secret_keys=(KEY,), database_url=f"sqlite:///{tmp_path}/i.db")),
        "Registry": lambda: registry(index_url="http://127.0.0.1:1", secret_keys=(KEY,)),
        "Standalone registry": lambda: registry(standalone=True),
    }[heading]()
    routes = {(method, readable(rule.rule)) for rule in app.url_map.iter_rules() for method in rule.methods}
    if heading == "Standalone registry":
        routes -= {(row[0], row[1]) for row in with_head(table("routes.md", "Registry"))}
    if heading == "Index":
        routes -= {(row[0], row[1]) for row in with_head([*site(), *table("routes.md", "JSON API")])}
    assert {(row[0], row[1]) for row in with_head(table("routes.md", heading))} == routes


def test_every_page_of_the_site_stands_in_the_routes_page(tmp_path):
    app = create_index(IndexSettings(secret_keys=(KEY,), database_url=f"sqlite:///{tmp_path}/i.db"))
    routes = {(method, readable(rule.rule)) for rule in app.url_map.iter_rules() for method in rule.methods}
    assert {(row[0], row[1]) for row in with_head([*site(), *table("routes.md", "JSON API")])} <= routes


def site():
    """The pages, and the JSON of those that have a twin."""
    rows = table("routes.md", "Site")
    return [row[:2] for row in rows] + [["GET", row[2]] for row in rows if row[2]]


def registry(**settings):
    return create_registry(RegistrySettings(**settings), Memory())


def with_head(rows):
    """A row for each method; HEAD is answered wherever GET is, and the page says so once."""
    single = [[method, row[1]] for row in rows for method in row[0].split(", ")]
    return single + [["HEAD", path] for method, path in single if method == "GET"]


def readable(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule)


def test_every_folder_and_module_stands_in_the_tree():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = page.split("## The tree\n", 1)[1].split("```")[1]
    named = set(re.findall(r"[\w./-]+", tree))
    for package in ("common", "index_service", "registry_service", "migrations"):
        assert f"{package}/" in named
        for module in (ROOT / package).rglob("*.py"):
            if module.name != "__init__.py" and "versions" not in module.parts:
                assert module.name in named, f"{module.relative_to(ROOT)} is missing from the tree"


@pytest.mark.parametrize("service", ["index", "registry"])
def test_the_layers_of_the_page_are_those_of_the_import_contract(service):
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / "setup.cfg", encoding="utf-8")
    layers = (
        contracts[f"importlinter:contract:{service}"]["layers"].replace(f"{service}_service.", "").replace(" |", ",")
    )
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"`{' > '.join(layers.split(chr(10))[1:])}`" in page


PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_names_exists(page):
    """`accounts/access.py` and `access.py` are both names of `index_service/accounts/access.py`."""
    folders = ("common", "index_service", "registry_service", "migrations", "tests", "benchmarks", "deploy", "docs")
    modules = [f"/{path.relative_to(ROOT)}" for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules += [f"/{path.name}" for path in ROOT.glob("*.py")]
    named = re.findall(r"`([\w/-]+\.py)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not any(module.endswith(f"/{name}") for module in modules)] == []


def test_every_decision_has_its_four_parts():
    page = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    for entry in page.split("\n### ")[1:]:
        parts = re.findall(r"^- \*\*(\w+)\.\*\*", entry, re.MULTILINE)
        assert parts == ["Context", "Decision", "Measured", "Costs"], entry.splitlines()[0]


def test_every_link_between_the_pages_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("heading", "module"),
    [("of both services", metrics), ("of the index", index_metrics), ("of the registry", registry_metrics)],
)
def test_every_metric_stands_in_its_page(heading, module):
    declared = [family for family in vars(module).values() if isinstance(family, metrics.Family)]
    rows = [[family.name, ", ".join(family.labels), family.doc] for family in declared]
    assert table("monitoring.md", f"Metrics {heading}") == rows


def test_every_alert_stands_in_its_page():
    rules = (ROOT / "deploy" / "monitoring" / "alerts.yml").read_text(encoding="utf-8")
    assert [row[0] for row in table("monitoring.md", "Alerts")] == re.findall(r"- alert: (\w+)", rules)
