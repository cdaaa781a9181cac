"""The operator's commands that read: what they print for people, and for programs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from index_service.accounts.access_tokens import NewToken
from index_service.cli import main
from index_service.services import inventory
from tests.units.index_service.site import IMAGES

SECRET = "k" * 32


@pytest.fixture
def run(url):
    """Runs one command that has to succeed; returns what it prints."""

    def run(*words, **settings):
        environ = {"WHARFINGER_INDEX_DATABASE_URL": url, "WHARFINGER_INDEX_SECRET_KEYS": SECRET}
        environ |= {f"WHARFINGER_INDEX_{name.upper()}": text for name, text in settings.items()}
        done = CliRunner().invoke(main, words, env=environ)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.fixture
def filled(site, run):
    for name in ("alice", "bob"):
        site.user(name, admin=name == "bob")
    run("create-organisation", "acme", "--owner", "alice")
    site.push("alice/app", "alice")
    site.push("alice/app", "alice", tag="1.0")
    site.push("alice/tool", "alice")
    site.set_private("alice/tool")
    site.push("bob/app", "bob", images=[IMAGES[0]])
    site.services.accounts.make_access_token(site.actor("alice"), NewToken("laptop", "alice/*", True, None), "")
    return site


def names(text, key="name"):
    return [row[key] for row in json.loads(text)]


def test_lists_for_programs_are_arrays(filled, run):
    assert names(run("account", "list", "--json")) == ["alice", "bob"]
    assert names(run("organisation", "list", "--json")) == ["acme"]
    assert names(run("repository", "list", "--json")) == ["alice/app", "alice/tool", "bob/app"]
    assert names(run("repository", "list", "--namespace", "bob", "--json")) == ["bob/app"]
    assert names(run("repository", "list", "--namespace", "nobody", "--json")) == []
    tags = json.loads(run("tag", "list", "alice/app", "--json"))
    assert [(row["name"], row["image"]) for row in tags] == [("1.0", IMAGES[1]), ("latest", IMAGES[1])]
    assert (
        names(run("token", "list", "--json"))
        == names(run("token", "list", "--account", "alice", "--json"))
        == ["laptop"]
    )
    assert names(run("token", "list", "--account", "bob", "--json")) == []
    assert names(run("registry", "list", "--json"), "endpoint") == ["127.0.0.1:5001"]
    assert set(names(run("job", "list", "--json"), "repository")) == {"alice/app", "alice/tool", "bob/app"}


def test_one_thing_for_programs_is_an_object(filled, run):
    told = json.loads(run("repository", "show", "alice/tool", "--json"))
    assert (told["is_private"], told["tags"], told["endpoint"]) == (True, 1, "127.0.0.1:5001")
    assert json.loads(run("account", "show", "bob", "--json"))["is_admin"]
    told = json.loads(run("account", "show", "alice", "--json"))
    assert (told["organisations"], told["repositories"], told["access_tokens"]) == (["acme"], 2, 1)
    assert json.loads(run("organisation", "show", "acme", "--json"))["owners"] == ["alice"]


def test_people_get_a_table(filled, run):
    lines = run("repository", "list").splitlines()
    assert lines[0].split() == ["NAME", "PRIVATE", "TAGS", "BYTES", "PULLS", "STARS", "ENDPOINT", "CREATED", "PUSHED"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["alice/app", "no", "2"],
        ["alice/tool", "yes", "1"],
        ["bob/app", "no", "1"],
    ]
    assert len({line.index("127.0.0.1:5001") for line in lines[1:]}) == 1
    assert "private        yes" in run("repository", "show", "alice/tool").splitlines()


def test_long_lists_are_read_in_pages(filled, run, monkeypatch):
    monkeypatch.setattr(inventory, "PAGE", 1)
    assert names(run("repository", "list", "--json")) == ["alice/app", "alice/tool", "bob/app"]
    assert names(run("account", "list", "--json")) == ["alice", "bob"]
    monkeypatch.setattr("index_service.read_commands.MEASURED_ROWS", 1)
    assert [line.split()[0] for line in run("repository", "list").splitlines()[1:]] == [
        "alice/app",
        "alice/tool",
        "bob/app",
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("account", "show", "nobody"), "no account is named nobody"),
        (("organisation", "show", "nobody"), "no organisation is named nobody"),
        (("repository", "show", "alice/none"), "no repository is named alice/none"),
        (("tag", "list", "alice/none"), "no repository is named alice/none"),
        (("token", "list", "--account", "nobody"), "no account is named nobody"),
    ],
)
def test_what_is_not_there_is_one_clear_line(run, url, site, words, told):
    environ = {"WHARFINGER_INDEX_DATABASE_URL": url, "WHARFINGER_INDEX_SECRET_KEYS": SECRET}
    done = CliRunner().invoke(main, words, env=environ)
    assert done.exit_code == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_settings_in_force_tell_where_they_are_from_and_no_secret(run, tmp_path, url):
    file = tmp_path / "settings.toml"
    file.write_text('[index]\ncredential_seconds = 7\ncors_origins = ["https://a.example", "https://b.example"]\n')
    environ = {
        "WHARFINGER_INDEX_DATABASE_URL": url,
        "WHARFINGER_INDEX_SECRET_KEYS": SECRET,
        "WHARFINGER_CONFIG": str(file),
    }
    done = CliRunner().invoke(main, ["settings", "list", "--json"], env=environ)
    rows = {row["setting"]: (row["value"], row["source"]) for row in json.loads(done.stdout)}
    assert rows["WHARFINGER_INDEX_CREDENTIAL_SECONDS"] == ("7.0", str(file))
    assert rows["WHARFINGER_INDEX_CORS_ORIGINS"] == ("https://a.example,https://b.example", str(file))
    assert rows["WHARFINGER_INDEX_SECRET_KEYS"] == ("(secret)", "environment")
    assert rows["WHARFINGER_INDEX_LOG_LEVEL"] == ("info", "default")
    assert SECRET not in done.stdout
    assert rows["WHARFINGER_INDEX_DATABASE_URL"] == ("(secret)", "environment")
