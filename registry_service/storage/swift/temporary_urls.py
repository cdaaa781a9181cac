"""Temporary URLs of Swift: whose key signs, and how."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from swiftclient import client
from swiftclient.utils import generate_temp_url

from common.settings import SettingsError
from registry_service.storage.swift.account import Account, SwiftSettings, named
from registry_service.storage.swift.objects import Cluster

SHARED_SECONDS = 300.0
"""For how long at most the same signed URL is given again."""


def signer(
    account: Account, settings: SwiftSettings, cluster: Cluster, headers: Mapping[str, str]
) -> Callable[[str], str] | None:
    """What signs a name, with the key of the account or container; None where nothing is to be signed.

    Raises SettingsError.
    """
    whose = settings.temporary_urls
    if whose == "off":
        return None
    if not cluster.signs:
        raise SettingsError(f"{named('temporary_urls')}: the cluster has no temporary URLs: say off")
    if whose == "account":
        headers = account.ask("", client.head_account)
    key = _key(account, settings, whose, headers)
    parts = urlsplit(settings.url_endpoint or account.url)
    folder = f"{parts.path}/{settings.container}/"
    shared = max(1.0, min(settings.url_seconds / 4, SHARED_SECONDS))

    def sign(name: str) -> str:
        # One address for a while, so that caches know it again.
        end = int(time.time() // shared * shared + settings.url_seconds)
        # Signed is the path as it is, sent the path as it is quoted.
        signed = generate_temp_url(folder + name, end, key, "GET", absolute=True, digest=cluster.digest)
        return f"{parts.scheme}://{parts.netloc}{quote(folder + name)}?{signed.partition('?')[2]}"

    return sign


def _key(account: Account, settings: SwiftSettings, whose: str, headers: Mapping[str, str]) -> str:
    """The key to sign with: the one given, set where it is not yet, or the one that is there."""
    header = f"x-{whose}-meta-temp-url-key"
    there = [headers[name] for name in (header, f"{header}-2") if headers.get(name)]
    given = settings.temporary_url_key
    if not given and not there:
        raise SettingsError(f"{named('temporary_url_key')} is not set, and the {whose} has none: give one")
    if not given or given in there:
        return given or there[0]
    if len(there) == 2:
        raise SettingsError(
            f"{named('temporary_url_key')} is neither of the {whose}'s two keys: use one of them, or remove one"
        )
    free = header if not headers.get(header) else f"{header}-2"
    if whose == "container":
        account.ask("", client.post_container, settings.container, {free: given})
    else:
        account.ask("", client.post_account, {free: given})
    return given
