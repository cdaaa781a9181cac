"""Settings: complete or refused, and the refusal names what is wrong."""

from __future__ import annotations

import pytest

from common.settings import SettingsError
from index_service.settings import load_settings

KEYS = {"WHARFINGER_INDEX_SECRET_KEYS": "k" * 32}


def load(**given):
    return load_settings(KEYS | {f"WHARFINGER_INDEX_{name.upper()}": text for name, text in given.items()})


def test_a_key_is_all_that_must_be_given():
    settings = load()
    assert settings.listen == "127.0.0.1:5000"
    assert settings.registry_endpoints == ("127.0.0.1:5001",)
    assert settings.database_url == "sqlite:///var/index.db"
    assert settings.sign_up == "open"
    with pytest.raises(SettingsError, match="WHARFINGER_INDEX_SECRET_KEYS"):
        load_settings({})


def test_secrets_are_not_shown():
    shown = repr(load(database_url="postgresql://u:hidden-word@h/n"))
    assert "kkk" not in shown
    assert "hidden-word" not in shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("secret_keys", "short"),
        ("listen", "5000"),
        ("listen", "localhost"),
        ("registry_endpoints", ""),
        ("registry_endpoints", "http://r:5001"),
        ("registry_endpoints", "r:5001/v1/"),
        ("registry_endpoints", "good:1,bad/"),
        ("registry_endpoints", 'r"x'),
        ("database_url", "nonsense"),
        ("database_url", "mysql://h/n"),
        ("database_url", "sqlite://"),
        ("database_url", "sqlite:///:memory:"),
        ("sign_up", "perhaps"),
        ("login_rate", "many"),
        ("login_rate", "0/minute"),
        ("address_rate", "10 per fortnight"),
        ("trusted_proxies", "-1"),
        ("audit_days", "-1"),
        ("audit_days", "1.5"),
        ("audit_days", "36501"),
        ("workers", "0"),
        ("token_seconds", "nan"),
        ("log_level", "loud"),
        ("security_contact", "security@example.com"),
        ("security_contact", "mailto:security@example.com\nX: y"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, text):
    with pytest.raises(SettingsError, match=f"WHARFINGER_INDEX_{name.upper()}"):
        load(**{name: text})


def test_several_registries_are_listed():
    assert load(registry_endpoints="r1:5001, [::1]:5001,r3.example.com").registry_endpoints == (
        "r1:5001",
        "[::1]:5001",
        "r3.example.com",
    )
