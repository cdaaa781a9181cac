"""Keystone v3, for the drivers of OpenStack's stores: a password for a token, a token's renewal, and a catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests
from keystoneauth1 import exceptions
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session
from requests.adapters import HTTPAdapter

from common.settings import SettingsError, variable

IdentityProblem = exceptions.ClientException
"""Whatever Keystone, or the way there, did not do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who we are, and where that is believed. `service` is whose settings these are; times are in seconds."""

    service: str
    auth_url: str
    user: str
    user_domain: str
    password: str
    project: str
    project_domain: str
    region: str
    interface: str
    ca_bundle: str
    connect_timeout: float
    read_timeout: float
    connections: int


class PatientAdapter(HTTPAdapter):
    """Waits `timeout`, connecting and reading, whatever the library above it thinks of waiting."""

    def __init__(self, timeout: tuple[float, float], connections: int) -> None:
        self._timeout = timeout
        super().__init__(pool_connections=4, pool_maxsize=connections)

    def send(self, request: requests.PreparedRequest, *args: Any, **kept: Any) -> requests.Response:
        return super().send(request, *args, **{**kept, "timeout": self._timeout})


class Identity:
    """One user of one project. May be used by many threads at once; tokens are renewed before they expire."""

    def __init__(self, login: Login) -> None:
        self._login = login
        auth = Password(
            login.auth_url,
            username=login.user,
            user_domain_name=login.user_domain,
            password=login.password,
            project_name=login.project,
            project_domain_name=login.project_domain,
        )
        connections = requests.Session()
        adapter = PatientAdapter((login.connect_timeout, login.read_timeout), login.connections)
        for scheme in ("http://", "https://"):
            connections.mount(scheme, adapter)
        self.session = Session(auth=auth, session=connections, verify=login.ca_bundle or True)

    def token(self) -> str:
        """Raises IdentityProblem."""
        return self.session.get_token() or ""

    def renew(self) -> None:
        """The token was refused: the next one is a new one."""
        self.session.invalidate()

    def project_id(self) -> str:
        return self.session.get_project_id() or ""

    def endpoint(self, service_type: str) -> str:
        """Where the catalogue says that a service is. Raises SettingsError, also for a login that is refused."""
        login = self._login
        try:
            found = self.session.get_endpoint(
                service_type=service_type, interface=login.interface, region_name=login.region or None
            )
        except exceptions.EndpointNotFound:
            found = None
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            raise SettingsError(
                f"{self._named('user')}, _PASSWORD, _PROJECT or the domains: {login.auth_url} refuses them"
            ) from error
        except IdentityProblem as error:
            raise SettingsError(
                f"{self._named('auth_url')}: {login.auth_url} does not answer as Keystone v3 does "
                f"({type(error).__name__}): mend the address"
            ) from error
        if not found:
            raise SettingsError(
                f"{self._named('region')} or _INTERFACE: the catalogue has no {service_type} there "
                f"(region {login.region or 'any'}, interface {login.interface})"
            )
        return str(found).rstrip("/")

    def _named(self, field: str) -> str:
        return variable(self._login.service, field)
