"""The Glance driver's settings."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings import file, one_of, seconds, setting, url, variable, whole_number

MIB = 1024**2


def _another(text: str) -> str:
    if text == "glance":
        raise ValueError("glance keeps nothing but layers: name a driver for the rest")
    return text


@dataclass(frozen=True, slots=True)
class GlanceSettings:
    """WHARFINGER_GLANCE_*, or the table [glance]."""

    auth_url: str = setting(url, "Keystone, as http(s)://host:port/v3.")
    user: str = setting(str, "User.")
    password: str = setting(str, "Password.", secret=True)
    project: str = setting(str, "Project, which owns the images.")
    user_domain: str = setting(str, "Domain of the user, by name.", "Default")
    project_domain: str = setting(str, "Domain of the project, by name.", "Default")
    region: str = setting(str, "Region in Keystone's catalogue; empty means any.", "")
    interface: str = setting(one_of("public", "internal", "admin"), "Which of the catalogue's endpoints.", "public")
    endpoint_url: str = setting(url, "Glance's address instead of the catalogue's.", "")
    ca_bundle: str = setting(file, "File of certificates to trust instead of the usual ones.", "")
    alternate: str = setting(_another, "Driver that keeps everything but layers, with its own settings.", "filesystem")
    alternate_path: str = setting(str, "Root of that driver's store; empty means the storage path.", "")
    buffer_bytes: int = setting(
        whole_number(1), "Bytes of an upload kept in memory, up to which a broken one is repeated.", 8 * MIB
    )
    attempts: int = setting(whole_number(1), "How often a request is made before it fails.", 5)
    connect_timeout: float = setting(seconds, "Seconds a connection may take.", 5.0)
    read_timeout: float = setting(seconds, "Seconds Glance may be silent.", 60.0)
    connections: int = setting(whole_number(1), "Idle connections kept open for the next requests.", 128)


def named(field: str) -> str:
    return variable("glance", field)
