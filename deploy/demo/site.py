"""What the demo says of its images, through the index's JSON API."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from deploy.demo.daemon import DemoFailed


class Person:
    """Somebody who uses the API of the index at `url` with a password."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self._url = url
        basic = base64.b64encode(f"{name}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}

    def found(self, organisation: str, full_name: str, members: tuple[str, ...]) -> None:
        """Raises DemoFailed."""
        # That it is there already, and its members in it, is as well.
        self._ask("POST", "/organisations", {"name": organisation, "full_name": full_name, "member_role": "write"}, 409)
        for member in members:
            self._ask("POST", f"/organisations/{organisation}/members", {"person": member}, 409)

    def gather(self, organisation: str, team: str, about: str, members: tuple[str, ...]) -> None:
        """A team of the organisation. Raises DemoFailed."""
        teams = f"/organisations/{organisation}/teams"
        self._ask("POST", teams, {"name": team, "about": about}, 409)
        for member in members:
            self._ask("PUT", f"{teams}/{team}/members/{member}", None, 409)

    def give_role(self, repository: str, team: str, role: str) -> None:
        """To a team, in one repository. Raises DemoFailed."""
        self._ask("PUT", f"/repositories/{repository}/@roles/teams/{team}", {"role": role})

    def describe(self, repository: str, description: str, readme: str, *, is_private: bool) -> None:
        """Whoever may push may describe; to hide takes an administrator. Raises DemoFailed."""
        change = {"description": description, "readme": readme, **({"is_private": True} if is_private else {})}
        self._ask("PATCH", f"/repositories/{repository}", change)

    def star(self, repository: str) -> None:
        """Raises DemoFailed."""
        self._ask("PUT", f"/repositories/{repository}/@star")

    def has_comments(self, repository: str) -> bool:
        """Raises DemoFailed."""
        return bool(self._ask("GET", f"/repositories/{repository}/@comments")["items"])

    def comment(self, repository: str, text: str, tag: str | None) -> None:
        """With a tag it is an annotation. Raises DemoFailed."""
        body = {"body": text} if tag is None else {"body": text, "tag": tag}
        self._ask("POST", f"/repositories/{repository}/@comments", body)

    def _ask(self, method: str, path: str, body: Any = None, tolerated: int = 0) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"{self._url}/api/v1{quote(path, safe='/@')}"
        request = urllib.request.Request(url, data=data, method=method, headers=self._headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refusal:
            with refusal:
                told = refusal.read().decode(errors="replace")[:200]
            if refusal.code != tolerated:
                raise DemoFailed(f"{method} {url}: {refusal.code} {told}") from refusal
        except OSError as error:
            raise DemoFailed(f"{method} {url}: {error}; is `make run` running?") from error
