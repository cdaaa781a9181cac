"""A real nginx started from the very files of deploy/nginx; only what a site changes is changed."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import Process, free_port, listening, require
from tests.servers.services import ROOT
from tests.servers.tls import Certificate

FILES = ROOT / "deploy" / "nginx"


def start_front(
    folder: Path,
    port: int,
    *,
    indexes: Sequence[int] | None,
    registries: Sequence[int],
    store: Path | None = None,
    tls: Certificate | None = None,
    profile: str = "modern",
    access_log: Path | None = None,
    rate: str | None = None,
    locations: str = "",
) -> Process:
    """One host name on `port`, plain or with TLS, before the services on these ports of this machine.

    Without indexes the site is that of registries which stand alone.
    With a `rate`, few requests may exceed it. `locations` are added to the site's.
    """
    nginx = require("nginx", "nginx-light")
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    (folder / "cache").mkdir()
    site = folder / "site.conf"
    text = (folder / ("site-alone.conf" if indexes is None else "site.conf")).read_text(encoding="utf-8")
    text = _changed(text, "127.0.0.1:5009", f"127.0.0.1:{free_port()}", times=2)
    if indexes is None:
        text = _changed(text, "    server 127.0.0.1:5001 max_fails=0;\n", _servers(registries), times=2)
    else:
        text = _changed(text, "    server 127.0.0.1:5000 max_fails=0;\n", _servers(indexes))
        text = _changed(text, "    server 127.0.0.1:5001 max_fails=0;\n", _servers(registries))
    if store is not None:
        text = _changed(text, "alias /srv/registry/;", f"alias {store}/;")
    listen = f"listen 127.0.0.1:{port} backlog=4096"
    if tls is None:
        text = _changed(text, "listen 80 backlog=4096;", f"{listen};")
    else:
        text = _changed(text, "    listen 80 backlog=4096;\n", "")
        text = _changed(text, "# listen 443 ssl backlog=4096;", f"{listen} ssl;")
        text = _changed(text, "# ssl_certificate     /etc/wharfinger/tls.crt;", f"ssl_certificate {tls.certificate};")
        text = _changed(text, "# ssl_certificate_key /etc/wharfinger/tls.key;", f"ssl_certificate_key {tls.key};")
        text = _changed(text, "# include wharfinger/tls-modern.conf;", f"include wharfinger/tls-{profile}.conf;")
    text = _changed(text, "    include wharfinger/server.conf;\n", f"    include wharfinger/server.conf;\n{locations}")
    site.write_text(text, encoding="utf-8")
    if access_log is not None:
        main = folder / "nginx.conf"
        logged = _changed(main.read_text(encoding="utf-8"), "access_log off;", f"access_log {access_log};")
        main.write_text(logged, encoding="utf-8")
    if rate is not None:
        http, server = folder / "wharfinger" / "http.conf", folder / "wharfinger" / "server.conf"
        http.write_text(_changed(http.read_text(encoding="utf-8"), "rate=100r/s", f"rate={rate}"), encoding="utf-8")
        server.write_text(
            _changed(server.read_text(encoding="utf-8"), "burst=1000", "burst=3", times=2), encoding="utf-8"
        )
    orders = f"daemon off; pid {folder}/nginx.pid; error_log stderr warn; user {getpass.getuser()};"
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr", "-g", orders]
    process = Process("nginx", command, folder)
    process.start(lambda: listening(port))
    return process


def _servers(ports: Sequence[int]) -> str:
    return "".join(f"    server 127.0.0.1:{port} max_fails=0;\n" for port in ports)


def _changed(text: str, old: str, new: str, times: int = 1) -> str:
    assert text.count(old) == times, f"the site of deploy/nginx no longer says {old!r}, so often: {times}"
    return text.replace(old, new)
