"""A real nginx with sites written here: TLS ended in front of each service, or a folder of files served."""

from __future__ import annotations

import getpass
import string
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import Process, listening, require
from tests.servers.tls import Certificate

_MAIN = string.Template("""\
daemon off;
worker_processes $workers;
worker_rlimit_nofile 16384;
pid $folder/nginx.pid;
error_log stderr warn;
user $user;
events { worker_connections 8192; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
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
        listen 127.0.0.1:$port ssl;
        ssl_certificate $certificate;
        ssl_certificate_key $key;
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

_FILES = string.Template("""\
    server {
        listen 127.0.0.1:$port backlog=4096;
        root $root;
    }
""")


@dataclass(frozen=True)
class Front:
    """A running nginx and the URLs it answers, in the order of what stands behind."""

    process: Process
    urls: list[str]


def start_termination(folder: Path, ports: dict[int, int], tls: Certificate) -> Front:
    """TLS in front of each: `ports` maps the port to listen on to the port behind it."""
    sites = [
        _SITE.substitute(port=port, upstream=f"127.0.0.1:{behind}", certificate=tls.certificate, key=tls.key)
        for port, behind in ports.items()
    ]
    process = _start(folder, "".join(sites), list(ports))
    return Front(process, [f"https://127.0.0.1:{port}" for port in ports])


def start_file_server(folder: Path, port: int, root: Path) -> Process:
    """The files below `root`, sent by as many workers as there are processors."""
    return _start(folder, _FILES.substitute(port=port, root=root), [port], workers="auto")


def _start(folder: Path, sites: str, ports: list[int], workers: str = "1") -> Process:
    nginx = require("nginx", "nginx")
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "nginx.conf"
    text = _MAIN.substitute(folder=folder, user=getpass.getuser(), sites=sites, workers=workers)
    configuration.write_text(text, encoding="utf-8")
    process = Process("nginx", [nginx, "-p", str(folder), "-c", str(configuration), "-e", "stderr"], folder)
    process.start(lambda: all(map(listening, ports)))
    return process
