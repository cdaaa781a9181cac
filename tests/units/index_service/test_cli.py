"""The operator's commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from index_service import schema
from index_service.accounts.access_tokens import NewToken
from index_service.cli import main
from tests.units.index_service.site import IMAGES, basic

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(url):
    """Runs one command; returns its status, output and errors."""

    def run(*words, stdin="", **settings):
        environ = {"WHARFINGER_INDEX_DATABASE_URL": url, "WHARFINGER_INDEX_SECRET_KEYS": "k" * 32}
        environ |= {f"WHARFINGER_INDEX_{name.upper()}": text for name, text in settings.items()}
        done = CliRunner().invoke(main, words, input=stdin, env=environ)
        return done.exit_code, done.stdout.strip(), done.stderr.strip()

    return run


def login(site, name, password):
    return site.request("GET", "/v1/users/", auth=basic(name, password)).status_code


def test_the_life_of_an_account(run, site):
    assert run("create-user", "alice", "--email", "a@example.com", "--password-stdin", stdin="labpass1\n") == (
        0,
        "Created account alice.",
        "",
    )
    assert login(site, "alice", "labpass1") == 200
    assert run("set-password", "alice", "--password-stdin", stdin="labpass2\n")[0] == 0
    assert [login(site, "alice", "labpass1"), login(site, "alice", "labpass2")] == [401, 200]
    assert run("deactivate", "alice")[0] == 0
    assert login(site, "alice", "labpass2") == 403
    assert run("activate", "alice")[0] == 0
    assert login(site, "alice", "labpass2") == 200
    assert run("create-user", "root", "--admin", "--password-stdin", stdin="labpass3")[0] == 0
    body = [{"id": IMAGES[0]}]
    puts = [
        site.request("PUT", "/v1/repositories/app/", auth=basic(*pair), body=body).status_code
        for pair in (("alice", "labpass2"), ("root", "labpass3"))
    ]
    assert puts == [403, 200]


def test_tokens_are_revoked_and_cleaned(run, site):
    site.user("alice")
    token = site.push("alice/app", "alice")
    assert run("revoke-tokens", "alice") == (0, "1 pull/push token and 0 access tokens of alice revoked.", "")
    assert site.redeem("alice/app", token) == 401
    # The clock of this test stands in 2015.
    site.push("alice/app", "alice")
    assert run("clean") == (0, "Deleted 1 expired token.", "")


def test_images_of_several_namespaces_are_listed_with_who_listed_them_first(run, site):
    for name in ("alice", "bob", "mallory"):
        site.user(name)
    base, poisoned, apart, announced, own = IMAGES[:5]
    site.push("mallory/x", "mallory", images=[poisoned, announced], held=False)
    site.push("alice/app", "alice", images=[base, poisoned, apart, own])
    site.push("alice/copy", "alice", images=[base, own])
    site.push("bob/app", "bob", images=[base, announced])
    for number in range(6):
        site.push(f"bob/n{number}", "bob", images=[poisoned])
    site.push("bob/apart", "bob", images=[apart], held=False)
    site.hold("bob/apart", [apart], apart=1)
    others = "alice/app, bob/n0, bob/n1, bob/n2, bob/n3 and 2 more"
    told = f"{poisoned}: first listed by mallory/x; in {others}"
    assert run("shared-images") == (
        0,
        "\n".join((f"{base}: first listed by alice/app; in alice/app, alice/copy, bob/app", told)),
        "2 images shared between namespaces.",
    )
    site.drop("mallory/x")
    assert f"{poisoned}: first listed by alice/app; in {others}" in run("shared-images")[1]


def test_a_password_set_by_command_ends_tokens(run, site):
    site.user("alice")
    token = site.push("alice/app", "alice")
    run("set-password", "alice", "--password-stdin", stdin="labpass2\n")
    assert site.redeem("alice/app", token) == 401


def test_access_tokens_go_with_a_password_set_by_command_unless_they_are_to_stay(run, site):
    site.user("alice")
    token = site.services.accounts.make_access_token(site.actor("alice"), NewToken("laptop", "*", True, None), "")
    assert run("set-password", "alice", "--keep-access-tokens", "--password-stdin", stdin="labpass2\n")[0] == 0
    assert login(site, "alice", token) == 200
    assert run("set-password", "alice", "--password-stdin", stdin="labpass3\n")[0] == 0
    assert login(site, "alice", token) == 401
    token = site.services.accounts.make_access_token(site.actor("alice"), NewToken("laptop", "*", True, None), "")
    assert run("revoke-tokens", "alice") == (0, "0 pull/push tokens and 1 access token of alice revoked.", "")
    assert login(site, "alice", token) == 401


def test_access_and_endpoints_are_set(run, site):
    site.user("alice")
    site.push("alice/app", "alice")
    assert run("set-access", "alice/app", "private")[0] == 0
    assert site.request("GET", "/v1/repositories/alice/app/images").status_code == 404
    assert run("set-access", "alice/app", "public")[0] == 0
    assert site.request("GET", "/v1/repositories/alice/app/images").status_code == 200
    assert run("move-endpoint", "127.0.0.1:5001", "r:1") == (0, "Moved 1 repository to r:1.", "")


def test_quotas_are_set_and_shown(run, site):
    site.user("alice")
    assert run("set-quota", "alice", "--bytes", "10GB") == (
        0,
        "bytes: 0 B of 10.0 GB\nrepositories: 0 of no limit",
        "",
    )
    assert run("set-quota", "alice", "--repositories", "5")[1].endswith("of 10.0 GB\nrepositories: 0 of 5")
    assert run("set-quota", "alice", "--bytes", "default")[1].startswith("bytes: 0 B of no limit")
    assert run("set-quota", "alice", "--bytes", "many")[0] == run("set-quota", "nobody")[0] == 1


def test_organisations_are_made_and_never_left_alone(run, site):
    site.user("alice")
    site.user("bob")
    assert run("create-organisation", "acme", "--owner", "alice") == (
        0,
        "Created organisation acme, owned by alice.",
        "",
    )
    refused = "Error: This person is the last owner of acme: make somebody else an owner there first"
    assert run("deactivate", "alice")[::2] == (1, refused)
    assert run("add-owner", "acme", "bob") == (0, "bob is now an owner of acme.", "")
    assert site.push("acme/app", "bob")
    assert [row.actor_name for row in site.rows("SELECT actor_name FROM audit WHERE subject = 'acme'")] == [""] * 3
    assert run("deactivate", "alice") == (0, "Deactivated account alice.", "")


def test_administrators_are_made_and_unmade(run, site):
    site.user("alice")
    site.user("root", admin=True)
    assert run("set-admin", "alice", "yes") == (0, "alice is now an administrator.", "")
    assert site.push("app", "alice")
    assert run("set-admin", "alice", "no") == (0, "alice is no longer an administrator.", "")
    assert site.request("PUT", "/v1/repositories/app/", user="alice", body=[]).status_code == 403


def test_a_repository_is_renamed(run, site):
    site.user("alice")
    site.push("alice/app", "alice")
    assert run("rename", "alice/app", "alice/web") == (0, "Renamed alice/app to alice/web.", "")
    assert site.request("GET", "/v1/repositories/alice/web/images").status_code == 200


def test_up_and_down(run):
    assert run("downgrade", "base") == (0, "The database is at revision base.", "")
    assert run("create-user", "alice", "--password-stdin", stdin="labpass1\n")[::2] == (
        1,
        f"Error: the database is at revision none, this version needs {schema.head()}: run wharfinger-index migrate",
    )
    assert run("serve")[0] == 1
    assert run("migrate") == (0, f"The database is at revision {schema.head()}.", "")


@pytest.mark.parametrize(
    ("words", "settings", "told"),
    [
        (["create-user", "alice", "--password-stdin"], {}, "Username or email already exists"),
        (["create-user", "Alice", "--password-stdin"], {}, "Invalid username"),
        (["create-user", "bob", "--email", "no", "--password-stdin"], {}, "Invalid email"),
        (["create-user", "bob", "--email", "root,b@example.com", "--password-stdin"], {}, "Invalid email"),
        (["create-user", "bob", "--password-stdin"], {"sign_up": "closed"}, "sign-up is closed"),
        (["set-password", "nobody", "--password-stdin"], {}, "no account is named nobody"),
        (["deactivate", "nobody"], {}, "no account is named nobody"),
        (["revoke-tokens", "nobody"], {}, "no account is named nobody"),
        (["set-access", "alice/nothing", "private"], {}, "images not found"),
        (["create-organisation", "alice", "--owner", "alice"], {}, "This name is taken"),
        (["create-organisation", "acme", "--owner", "nobody"], {}, "No account or organisation has this name"),
        (["add-owner", "acme", "alice"], {}, "no such organisation"),
        (["rename", "alice/nothing", "alice/app"], {}, "images not found"),
        (["set-admin", "nobody", "yes"], {}, "no account is named nobody"),
        (["set-access", "a//b", "private"], {}, "Invalid repository name"),
        (["downgrade", "9999"], {}, "9999"),
        (["clean"], {"secret_keys": "short"}, "WHARFINGER_INDEX_SECRET_KEYS"),
        (["serve"], {"unknown_thing": "1"}, "WHARFINGER_INDEX_UNKNOWN_THING"),
        (["migrate"], {"database_url": "postgresql://nobody@127.0.0.1:1/none"}, "cannot use the database"),
        (["clean"], {"database_url": "sqlite:////proc/none/index.db"}, "/proc/none"),
    ],
)
def test_failures_are_one_clear_line(run, site, words, settings, told):
    site.user("alice")
    status, output, errors = run(*words, stdin="labpass1\n", **settings)
    assert (status, output) == (1, "")
    assert errors.startswith("Error: ")
    assert "\n" not in errors
    assert told in errors


def test_help_needs_no_settings():
    done = subprocess.run(
        [sys.executable, "-c", "from index_service.cli import main; main()", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    for command in ("serve", "migrate", "create-user", "set-password", "revoke-tokens", "clean"):
        assert command in done.stdout
