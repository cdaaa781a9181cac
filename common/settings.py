"""Settings: a file and the environment become one frozen object per service, complete or refused.

Each service declares a frozen dataclass whose fields come from `setting(...)`. A field `secret_keys` of
the service `registry` is read from the environment as WHARFINGER_REGISTRY_SECRET_KEYS, or from the table
`[registry]` of the TOML file that WHARFINGER_CONFIG names; the environment wins. Nothing else in the
project reads either.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

CONFIG_FILE = "WHARFINGER_CONFIG"

_REQUIRED: Any = object()

S = TypeVar("S")


class SettingsError(Exception):
    """Settings are missing or wrong; the message names all of them and says what to mend."""


def setting(read: Callable[[str], Any], doc: str, default: Any = _REQUIRED, secret: bool = False) -> Any:
    """Declare one setting: how its text is read (ValueError says what is wrong), what it is, its default.

    A setting without a default must be given. A secret one is left out of `repr`.
    """
    metadata = {"read": read, "doc": doc}
    if default is _REQUIRED:
        return dataclasses.field(metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def variable(service: str, field: str) -> str:
    """The environment variable of one service's field."""
    return f"WHARFINGER_{service}_{field}".upper()


def load(cls: type[S], service: str, environ: Mapping[str, str]) -> S:
    """Read every field of `cls`. Raises SettingsError."""
    filed = _read_file(environ.get(CONFIG_FILE), service)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = variable(service, "")
    given = {key: text for key, text in environ.items() if key.startswith(prefix)}
    unknown = [key for key in given if key.removeprefix(prefix).lower() not in fields]
    unknown += [f"{key} (in {environ.get(CONFIG_FILE)})" for key in filed if key not in fields]
    wrong = [f"unknown setting: {', '.join(sorted(unknown))}"] if unknown else []
    values = {}
    for name, field in fields.items():
        text = given.get(variable(service, name), filed.get(name))
        if text is not None:
            try:
                values[name] = field.metadata["read"](text.strip())
            except ValueError as error:
                wrong.append(f"{variable(service, name)}: {error}")
        elif field.default is dataclasses.MISSING:
            wrong.append(f"{variable(service, name)} is not set: {field.metadata['doc']}")
    if wrong:
        raise SettingsError("; ".join(wrong))
    try:
        return cls(**values)
    except ValueError as error:
        raise SettingsError(str(error)) from error


@dataclasses.dataclass(frozen=True, slots=True)
class InForce:
    """A setting as it is in force, and where it comes from; of a secret one only that it is set."""

    setting: str
    value: str
    source: str


def in_force(settings: Any, service: str, environ: Mapping[str, str]) -> list[InForce]:
    """All settings of a service."""
    file = environ.get(CONFIG_FILE)
    filed = _read_file(file, service)
    rows = []
    for field in dataclasses.fields(settings):
        name = variable(service, field.name)
        source = "environment" if name in environ else str(file) if field.name in filed else "default"
        value = _as_text(getattr(settings, field.name)) if field.repr else "(secret)"
        rows.append(InForce(name, value, source))
    return rows


def with_file(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with all that its file says, which is not read again. Raises SettingsError."""
    filed = {
        variable(service, key): _as_text(value)
        for service, table in _read_tables(environ.get(CONFIG_FILE)).items()
        if isinstance(table, dict)
        for key, value in table.items()
    }
    return {**filed, **{key: text for key, text in environ.items() if key != CONFIG_FILE}}


def _read_tables(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{CONFIG_FILE}: cannot read {path}: {error}") from error


def _read_file(path: str | None, service: str) -> dict[str, str]:
    table = _read_tables(path).get(service, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{CONFIG_FILE}: [{service}] in {path} is not a table")
    return {key: _as_text(value) for key, value in table.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def boolean(text: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0", ""):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def whole_number(least: int = 0) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise ValueError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return read


def seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is not a number of seconds")
    return value


def url(text: str) -> str:
    """An address to speak HTTP to, without the slash at its end; or nothing."""
    if text and not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} does not begin with http:// or https://")
    return text.rstrip("/")


def urls(text: str) -> str:
    """Several of them, separated by commas; or nothing."""
    return ",".join(map(url, listed(text)))


def address(text: str) -> str:
    """An address to listen on, host:port; or nothing."""
    host, _, port = text.rpartition(":")
    if text and not (host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{text!r} is not host:port")
    return text


def file(text: str) -> str:
    """A file that is there, as one of certificates; or nothing."""
    if text and not Path(text).is_file():
        raise ValueError(f"{text} is not a file")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is none of {', '.join(words)}")
        return text

    return read


def listed(text: str) -> tuple[str, ...]:
    """A comma-separated list, blanks around the items dropped."""
    return tuple(item for item in map(str.strip, text.split(",")) if item)


def secrets(text: str) -> tuple[str, ...]:
    """Comma-separated secret keys, the first signs, all verify; each has 32 characters or more."""
    keys = listed(text)
    if not keys or any(len(key) < 32 for key in keys):
        raise ValueError("each key needs 32 characters or more; make one with: openssl rand -hex 32")
    return keys
