"""The hosts that a registry without accounts is reached by.

A web page can let its own name resolve to an address that only its reader can reach (DNS rebinding), such as 127.0.0.1,
and then read there and write what it likes, since for the browser it is the page's own host. A registry that lets in
everybody who reaches its port therefore looks at the name. Names without a dot are nobody's in public DNS, and those of
containers have none.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from functools import lru_cache
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from common import http
from common.errors import Forbidden

ANY = "*"


class AllowedHosts:
    """WSGI middleware: refuses requests for hosts that are not this registry's."""

    def __init__(self, behind: WSGIApplication, hosts: Iterable[str]) -> None:
        self._behind = behind
        self._names = {_name(host) for host in (*hosts, socket.gethostname())}
        self._is_allowed = lru_cache(maxsize=1024)(self._look_up)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if self._is_allowed(host):
            return self._behind(environ, start_response)
        http.begin(environ)
        words = f"{_name(host)} is not a host of this registry; if it is, add it to WHARFINGER_REGISTRY_HOSTS"
        return http.failed(Forbidden(words), environ)(environ, start_response)

    def _look_up(self, host: str) -> bool:
        """Browsers take more characters in a host than DNS has, so what is malformed is looked at as well."""
        name = _name(host)
        if "." not in name or name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _name(host: str) -> str:
    """Without the port, and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")
