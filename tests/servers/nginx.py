"""A real nginx that does nothing but end TLS in front of each service."""

from __future__ import annotations

import getpass
import string
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import Process, listening, require
from tests.servers.tls import Certificate

_MAIN = string.Template("""\
daemon off;
worker_processes 1;
pid $folder/nginx.pid;
error_log stderr warn;
user $user;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
$sites
}
""")

_SITE = string.Template("""\
    server {
        listen 127.0.0.1:$port $tls;
        client_max_body_size 0;
        merge_slashes off;
        location / {
            proxy_pass http://$upstream;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $$http_host;
            proxy_set_header X-Forwarded-For $$remote_addr;
            proxy_set_header X-Forwarded-Proto $$scheme;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_read_timeout 900;
            proxy_send_timeout 900;
        }
        error_page 400 = @refused;
        error_page 502 504 = @down;
        location @refused { default_type application/json; return 400 '{"error": "Bad request"}'; }
        location @down { default_type application/json; return 503 '{"error": "The service behind this is down"}'; }
    }
""")

_TLS = string.Template("""ssl;
        ssl_certificate $certificate;
        ssl_certificate_key $key""")


@dataclass(frozen=True)
class Front:
    """A running nginx and the URLs it answers, in the order of what stands behind."""

    process: Process
    urls: list[str]


def start_termination(folder: Path, ports: dict[int, int], tls: Certificate) -> Front:
    """TLS in front of each: `ports` maps the port to listen on to the port behind it."""
    sites = "".join(_site(port, f"127.0.0.1:{behind}", tls) for port, behind in ports.items())
    return _start(folder, sites, list(ports), tls)


def _site(port: int, upstream: str, tls: Certificate | None) -> str:
    lines = _TLS.substitute(certificate=tls.certificate, key=tls.key) if tls else ""
    return _SITE.substitute(port=port, upstream=upstream, tls=lines)


def _start(folder: Path, sites: str, ports: list[int], tls: Certificate | None) -> Front:
    nginx = require("nginx", "nginx")
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "nginx.conf"
    configuration.write_text(_MAIN.substitute(folder=folder, user=getpass.getuser(), sites=sites), encoding="utf-8")
    process = Process("nginx", [nginx, "-p", str(folder), "-c", str(configuration), "-e", "stderr"], folder)
    process.start(lambda: all(map(listening, ports)))
    return Front(process, [f"{'https' if tls else 'http'}://127.0.0.1:{port}" for port in ports])
