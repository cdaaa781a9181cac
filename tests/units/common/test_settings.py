"""Settings: complete or refused, the environment above the file, every mistake named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from common.settings import (
    CONFIG_FILE,
    SettingsError,
    boolean,
    file,
    listed,
    load,
    one_of,
    seconds,
    secrets,
    setting,
    url,
    variable,
    whole_number,
)

KEY, OTHER_KEY = "k" * 32, "o" * 40


@dataclass(frozen=True)
class Cellar:
    """Settings of a service that exists in this test alone."""

    keys: tuple[str, ...] = setting(secrets, "keys that sign", secret=True)
    doors: int = setting(whole_number(1), "how many doors", 2)
    lit: bool = setting(boolean, "whether there is light", False)
    patience: float = setting(seconds, "how long to wait", 5.0)
    kind: str = setting(one_of("wine", "coal"), "what is kept", "wine")
    racks: tuple[str, ...] = setting(listed, "names of racks", ())


NEEDED = {"WHARFINGER_CELLAR_KEYS": KEY}


def read(**given: str) -> Cellar:
    return load(Cellar, "cellar", NEEDED | {f"WHARFINGER_CELLAR_{name.upper()}": text for name, text in given.items()})


def test_what_is_not_given_has_its_default() -> None:
    assert read() == Cellar((KEY,), 2, False, 5.0, "wine", ())


def test_what_is_given_is_read() -> None:
    given = read(keys=f"{KEY}, {OTHER_KEY}", doors=" 3 ", lit="yes", patience="0.5", kind="coal", racks="a, b,,c ")
    assert given == Cellar((KEY, OTHER_KEY), 3, True, 0.5, "coal", ("a", "b", "c"))


def test_what_is_needed_has_to_be_there() -> None:
    with pytest.raises(SettingsError, match="WHARFINGER_CELLAR_KEYS is not set: keys that sign"):
        load(Cellar, "cellar", {})


def test_a_misspelt_setting_is_not_passed_over() -> None:
    with pytest.raises(SettingsError, match="unknown setting: WHARFINGER_CELLAR_DORS"):
        read(dors="3")


def test_other_services_and_programs_are_left_alone() -> None:
    assert load(Cellar, "cellar", NEEDED | {"WHARFINGER_ATTIC_DOORS": "x", "HOME": "/"}) == read()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("doors", "0"),
        ("doors", "-1"),
        ("doors", "2.5"),
        ("doors", "²"),
        ("lit", "maybe"),
        ("patience", "-1"),
        ("patience", "inf"),
        ("patience", "nan"),
        ("patience", "soon"),
        ("kind", "cheese"),
        ("keys", "short"),
        ("keys", ""),
        ("keys", f"{KEY},short"),
    ],
)
def test_a_wrong_setting_names_itself(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable('cellar', name)}: "):
        read(**{name: text})


def test_a_secret_stays_out_of_sight() -> None:
    assert KEY not in repr(read())
    with pytest.raises(SettingsError) as refusal:
        read(keys="too-short-but-secret")
    assert "too-short-but-secret" not in str(refusal.value)


def test_a_file_gives_what_the_environment_does_not(tmp_path: Path) -> None:
    file = tmp_path / "wharfinger.toml"
    file.write_text(
        f'[cellar]\nkeys = ["{KEY}", "{OTHER_KEY}"]\ndoors = 4\nlit = true\npatience = 1.5\n[attic]\nx = 1\n'
    )
    environ = {CONFIG_FILE: str(file), "WHARFINGER_CELLAR_DOORS": "7"}
    assert load(Cellar, "cellar", environ) == Cellar((KEY, OTHER_KEY), 7, True, 1.5, "wine", ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[cellar]\ndors = 1\n", "unknown setting: dors"),
        ("cellar = 3\n", "not a table"),
        ("[cellar\n", "cannot read"),
        ("[cellar]\ndoors = 0\n", "WHARFINGER_CELLAR_DOORS"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "wharfinger.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        load(Cellar, "cellar", NEEDED | {CONFIG_FILE: str(file)})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        load(Cellar, "cellar", NEEDED | {CONFIG_FILE: str(tmp_path / "absent.toml")})


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Cellar, "cellar", {variable("cellar", "doors"): "many", variable("cellar", "dors"): "2"})
    for name in ("doors", "dors", "keys"):
        assert variable("cellar", name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    @dataclass(frozen=True)
    class Contrary:
        lit: bool = setting(boolean, "whether there is light", False)

        def __post_init__(self) -> None:
            if self.lit:
                raise ValueError("there is no light here")

    with pytest.raises(SettingsError, match="there is no light here"):
        load(Contrary, "cellar", {"WHARFINGER_CELLAR_LIT": "on"})


@pytest.mark.parametrize("given", ["http://store:7480", "https://store.example/v1", ""])
def test_a_url_loses_the_slash_at_its_end(given: str) -> None:
    assert url(given) == given
    assert url(f"{given}/" if given else "") == given


@pytest.mark.parametrize("wrong", ["store:7480", "ftp://store", "//store", "HTTP//store"])
def test_what_is_no_url_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"'{wrong}' does not begin with http:// or https://"):
        url(wrong)


def test_a_file_has_to_be_there(tmp_path: Path) -> None:
    there = tmp_path / "authority.pem"
    there.touch()
    assert file(str(there)) == str(there)
    assert file("") == ""
    for wrong in (tmp_path, tmp_path / "absent.pem"):
        with pytest.raises(ValueError, match=f"{wrong} is not a file"):
            file(str(wrong))
