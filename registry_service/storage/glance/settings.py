"""The Glance driver's settings."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings import file, one_of, seconds, setting, url, variable, whole_number

MIB = 1024**2


def _another(text: str) -> str:
    if text == "glance":
        raise ValueError("glance keeps nothing but layers: name a driver for the rest")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class GlanceSettings:
    """WHARFINGER_GLANCE_*, or the table [glance]."""

    auth_url: str = setting(url, "URL of Keystone, as http(s)://host:port/v3.")
    user: str = setting(str, "User name.")
    password: str = setting(str, "Password.", secret=True)
    project: str = setting(str, "Project that owns the images.")
    user_domain: str = setting(str, "Name of the user's domain.", "Default")
    project_domain: str = setting(str, "Name of the project's domain.", "Default")
    region: str = setting(str, "Region in Keystone's catalogue; empty means any.", "")
    interface: str = setting(
        one_of("public", "internal", "admin"), "Interface of the endpoint in the catalogue.", "public"
    )
    endpoint_url: str = setting(url, "Endpoint URL of Glance, instead of the catalogue's.", "")
    ca_bundle: str = setting(file, "CA bundle to trust instead of the system's.", "")
    alternate: str = setting(_another, "Driver for everything except layers, with its own settings.", "filesystem")
    alternate_path: str = setting(str, "Root path of that driver; empty means the storage path.", "")
    buffer_bytes: int = setting(
        whole_number(1), "Bytes of an upload buffered in memory; an upload that fits can be retried.", 8 * MIB
    )
    attempts: int = setting(whole_number(1), "Maximum attempts of a request.", 5)
    connect_timeout: float = setting(seconds, "Connect timeout, in seconds.", 5.0)
    read_timeout: float = setting(seconds, "Read timeout, in seconds.", 60.0)
    connections: int = setting(whole_number(1), "Maximum idle connections in the pool.", 128)


def named(field: str) -> str:
    return variable("glance", field)
