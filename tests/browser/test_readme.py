"""A README with everything in it, before people's eyes: read, jumped about in, and copied from."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.test_office import sign_in
from tests.browser.visitor import DESK, PHONE, visit
from tests.clients.docker_v1 import Daemon
from tests.clients.generations import V1_6
from tests.clients.images import make_chain
from tests.servers.services import ADMIN, Service

README = """\
# The lighthouse

<p align="center"><b>Keeps ships</b> off the rocks, since <kbd>1863</kbd>.</p>

- [Quick start](#quick-start)
- [Settings](#settings)

## Quick start

```console
$ docker run --rm -p 80:80 lighthouse
ready
```

```dockerfile
FROM lighthouse:2.0
COPY lamp.conf /etc/lamp.conf # the lamp
```

> [!WARNING]
> Never look into the lamp.

> [!NOTE]
> It turns.[^turns]

### Settings

| Variable | Default | What it is for | Where it is read | Since | Until | Who asked for it |
|---|:-:|---|---|---:|---|---|
| `LIGHTHOUSE_ROOT_PASSWORD_FILE` | `/run/secrets/lighthouse` | password | `/usr/local/share/lighthouse` | 1 | - | all |

#### To do

- [x] light
- [ ] foghorn

<details><summary>More of it</summary>

H<sub>2</sub>O, ~~oil~~, and https://lighthouse.example/docs.

</details>

[^turns]: Once in ten seconds.
"""

MANNERS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": DESK},
    "dark phone": {"viewport": PHONE, "has_touch": True, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def repository(browser: Browser, harbour: Service) -> str:
    """The page of a repository that has the README."""
    name = f"{ADMIN.name}/light-{secrets.token_hex(4)}"
    Daemon(V1_6, harbour.target, ADMIN.name, ADMIN.password).push(name, make_chain(1), "latest")
    with visit(browser, harbour.url) as visitor:
        sign_in(visitor)
        visitor.open(f"/r/{name}/@settings")
        visitor.fill("README", README)
        visitor.press("Save")
    return f"/r/{name}"


@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS.keys())
def test_it_is_accessible_and_fits(browser: Browser, harbour: Service, repository: str, manner: dict[str, Any]) -> None:
    with visit(browser, harbour.url, **manner) as visitor:
        page = visitor.open(repository)
        visitor.expect_sound()
        size = "element => parseFloat(getComputedStyle(element).fontSize)"
        sizes = [page.locator(f".readme {heading}").first.evaluate(size) for heading in ("h3", "h4", "h5", "h6", "p")]
        assert sizes == sorted(sizes, reverse=True)
        table = page.locator(".readme .table")
        assert table.evaluate("element => element.scrollWidth > element.clientWidth")
        if manner["viewport"] == PHONE:
            command, text = page.locator("[data-copy]").first.bounding_box(), page.locator(".readme").bounding_box()
            assert command is not None
            assert text is not None
            assert command["y"] < text["y"]


def test_its_contents_lead_there(browser: Browser, harbour: Service, repository: str) -> None:
    with visit(browser, harbour.url) as visitor:
        page = visitor.open(repository)
        page.locator(".readme").get_by_role("link", name="Settings").first.click()
        page.wait_for_function("scrollY > 0")
        assert page.locator(".readme h5").evaluate("element => element === document.querySelector(':target')")
        visitor.unfold("Contents")
        assert page.locator(".contents a").all_inner_texts() == ["The lighthouse", "Quick start", "Settings", "To do"]


@pytest.mark.parametrize("has_clipboard", [True, False])
def test_its_code_is_copied_also_where_the_browser_has_no_clipboard(
    browser: Browser, harbour: Service, repository: str, *, has_clipboard: bool
) -> None:
    """Over plain HTTP it has none, but from this very machine."""
    with visit(browser, harbour.url, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        if not has_clipboard:
            visitor.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page = visitor.open(repository)
        page.locator(".readme").get_by_role("button", name="Copy").nth(1).click()
        page.get_by_role("status").get_by_text("Copied").wait_for(state="attached")
        page.get_by_label("Search").first.focus()
        page.keyboard.press("Control+V")
        assert page.get_by_label("Search").first.input_value().startswith("FROM lighthouse:2.0")
