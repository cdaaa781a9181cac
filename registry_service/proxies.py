"""HTTP connections to other registries, through the proxies of a site: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or a
setting.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3.response import BaseHTTPResponse

CONNECTIONS = 64
"""To each host, or to a proxy."""


class Connections:
    """Chooses for each URL, also for those that redirects lead to, whether a proxy stands before it."""

    def __init__(self, proxy: str, timeout: urllib3.Timeout) -> None:
        """`proxy` is a URL, before all hosts but those of NO_PROXY; empty means what the environment says."""
        environment = getproxies_environment()
        proxies = {scheme: proxy or environment.get(scheme, "") for scheme in ("http", "https")}
        self._excepted = {"no": environment.get("no", "")}
        direct = _Choosing(self, maxsize=CONNECTIONS, timeout=timeout)
        through = {url: _Proxied(self, url, timeout) for url in proxies.values() if url}
        self._managers = {scheme: through.get(url, direct) for scheme, url in proxies.items()}
        self._direct = direct

    def request(self, method: str, url: str, **named: Any) -> BaseHTTPResponse:
        return self.choose(url).request(method, url, **named)

    def choose(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        if proxy_bypass_environment(parts.netloc.rpartition("@")[2], self._excepted):
            return self._direct
        return self._managers.get(parts.scheme, self._direct)


class _Choosing(urllib3.PoolManager):
    """Has each URL, also where a redirect leads, opened by the manager that is chosen for it."""

    def __init__(self, connections: Connections, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connections = connections

    def urlopen(self, method: str, url: str, redirect: bool = True, **named: Any) -> BaseHTTPResponse:  # type: ignore[override]
        manager = self._connections.choose(url)
        if manager is not self:
            return manager.urlopen(method, url, redirect=redirect, **named)
        return super().urlopen(method, url, redirect=redirect, **named)


class _Proxied(_Choosing, urllib3.ProxyManager):
    def __init__(self, connections: Connections, proxy: str, timeout: urllib3.Timeout) -> None:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        credentials = urllib3.make_headers(proxy_basic_auth=pair) if parts.username else None
        super().__init__(connections, address, maxsize=CONNECTIONS, timeout=timeout, proxy_headers=credentials)
