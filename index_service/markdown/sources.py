"""Where relative links of a README lead: into the source of the image, as its host shows files.

A source is the address of a repository, or of a branch or folder of it: https://github.com/ada/app,
https://gitlab.com/ada/app/-/tree/main/docker, or any folder of files.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

_HOSTS = {"github.com": ("blob", "raw"), "gitlab.com": ("-/blob", "-/raw"), "bitbucket.org": ("src", "raw")}
"""How the address of a file goes on after its repository: as a page, and as it is."""

_BRANCH = re.compile(r"(/[^/]+/.+?)/(?:-/)?(?:tree|blob|src)/(.+)")
_NEWEST = "HEAD"


def absolute(source: str, link: str, *, is_image: bool = False) -> str | None:
    """The address that a relative link means; None without a source."""
    if link.startswith("//"):
        return f"https:{link}"
    if not source:
        return None
    parts = urlsplit(source)
    shown = _HOSTS.get(parts.hostname or "")
    if shown is None:
        return urljoin(source if source.endswith("/") else f"{source}/", link)
    branch = _BRANCH.fullmatch(parts.path.rstrip("/"))
    repository, rest = branch.groups() if branch else (parts.path.rstrip("/").removesuffix(".git"), _NEWEST)
    root = f"{parts.scheme}://{parts.netloc}{repository}/{shown[is_image]}/"
    # A path from the root is one from the repository's, below the branch.
    folder = f"{root}{rest.split('/', 1)[0]}/" if link.startswith("/") else f"{root}{rest}/"
    return urljoin(folder, link.lstrip("/"))
