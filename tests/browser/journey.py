"""One person's way through the site: a stranger at first, somebody who deletes a repository at last."""

from __future__ import annotations

import email
import email.policy
import re
import secrets
import time
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.browser.texts import Say
from tests.browser.visitor import Visitor
from tests.clients.docker_v1 import Daemon, Refusal, Refused
from tests.clients.generations import V1_6
from tests.clients.images import Chain, make_chain
from tests.clients.wire import Target
from tests.servers.services import Service

PASSWORD = "a-berth-of-ones-own"


@dataclass
class Journey:
    """One person with one browser at one index. Each step begins where the one before ended, or by an address."""

    visitor: Visitor
    say: Say
    index: Service
    name: str
    token: str = ""

    @classmethod
    def of(cls, visitor: Visitor, say: Say, index: Service) -> Journey:
        return cls(visitor, say, index, f"p{secrets.token_hex(4)}")

    def sign_up(self) -> None:
        """From the front page; ends signed in."""
        self.open("/")
        self.follow("Sign up")
        self.fill("Username", self.name)
        self.fill("E-mail address", f"{self.name}@example.com")
        self.fill("Password", PASSWORD)
        self.press("Sign up")
        self.expect(self.name)

    def confirm(self) -> None:
        """By the link of the letter."""
        link = re.search(r"http\S+/confirm/\S+", self._letter())
        assert link is not None
        self.open(link[0].removeprefix(self.index.url))
        self.press("Confirm")
        self.open("/account/emails")
        self.expect(f"{self.name}@example.com")

    def make_token(self) -> None:
        """Kept in `token`."""
        self.open("/account/tokens")
        self.fill("Name", "laptop")
        self.choose("Pull and push")
        self.press("Create token")
        shown = re.search(r"whp_\w{40}", self.visitor.page.inner_text("main"))
        assert shown is not None
        self.token = shown[0]
        self.expect_sound()
        self.open("/account/tokens")
        assert self.token not in self.visitor.page.content()

    def push(self, repository: str, tag: str, chain: Chain | None = None) -> Chain:
        """As Docker 1.6 would, with the access token for a password."""
        chain = chain or make_chain(4)
        Daemon(V1_6, self.target, self.name, self.token).push(f"{self.name}/{repository}", chain, tag)
        return chain

    def describe(self, repository: str, line: str, readme: str) -> None:
        self.open(f"{self._page(repository)}/@settings")
        self.fill("Short description", line)
        self.fill("README", readme)
        self.press("Save")
        self.expect_sound()

    def find(self, words: str, repository: str) -> None:
        """By the site's search; ends on the repository's own page."""
        self.open(f"/search?q={quote(words)}")
        self.visitor.follow(f"{self.name}/{repository}")
        self.expect_sound()

    def star(self) -> None:
        """On a page of a repository."""
        self.press("Star")
        self.visitor.page.get_by_role("button", name=self.say("Unstar")).wait_for()

    def comment(self, repository: str, text: str, tag: str = "") -> None:
        """With a tag it is an annotation."""
        self.open(f"{self._page(repository)}/@comments")
        self.fill("Comment", text)
        if tag:
            self.visitor.unfold(self.say("Pin as an annotation"))
            self.visitor.select(self.say("Pin to a tag"), tag)
        self.press("Post comment")
        self.expect(text)
        self.expect_sound()

    def look(self, repository: str, part: str, *texts: str) -> None:
        """A part of a repository, where these texts are to be read."""
        self.open(f"{self._page(repository)}/@{part}")
        for text in texts:
            self.expect(text)

    def look_at_image(self, image_id: str, repository: str) -> None:
        """An image and what descends from it."""
        self.open(f"/i/{image_id}")
        self.expect(f"{self.name}/{repository}")
        self.open(f"/i/{image_id}/graph")
        self.open("/graph")
        self.expect(f"{self.name}/{repository}")

    def delete(self, repository: str) -> None:
        """For ever; afterwards neither the site nor a daemon finds it."""
        self.open(f"{self._page(repository)}/@settings/delete")
        full_name = f"{self.name}/{repository}"
        self.fill("Type %(name)s to confirm", full_name, name=full_name)
        self.press("Delete this repository")
        self.visitor.page.wait_for_load_state()
        answer = self.visitor.page.goto(self._page(repository))
        assert answer is not None
        assert answer.status == 404
        self.expect_sound()
        with pytest.raises(Refused):
            Daemon(V1_6, self.target, self.name, self.token).pull(full_name, "1.0", Refusal.UNKNOWN)

    def _page(self, repository: str) -> str:
        return f"/r/{self.name}/{repository}"

    @property
    def target(self) -> Target:
        return self.index.target

    def open(self, path: str) -> None:
        self.visitor.open(path)
        self.expect_sound()

    def fill(self, label: str, text: str, **places: str) -> None:
        self.visitor.fill(self.say(label, **places), text)

    def choose(self, label: str) -> None:
        self.visitor.choose(self.say(label))

    def press(self, name: str, **places: str) -> None:
        self.visitor.press(self.say(name, **places))

    def follow(self, name: str) -> None:
        self.visitor.follow(self.say(name))
        self.expect_sound()

    def expect(self, text: str) -> None:
        """The page says this, somewhere a reader sees it."""
        self.visitor.page.get_by_text(text).first.wait_for(state="attached")

    def expect_sound(self) -> None:
        """The page is accessible and no wider than the screen."""
        self.visitor.expect_sound()

    def _letter(self) -> str:
        """The newest one to this person; it is carried a moment after the page was shown."""
        folder, deadline = self.index.folder / "mail", time.monotonic() + 20
        while time.monotonic() < deadline:
            for path in sorted(folder.glob("*.eml"), reverse=True):
                letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                if self.name in str(letter["To"]):
                    return str(letter.get_content())
            time.sleep(0.05)
        raise AssertionError(f"no letter to {self.name} in {folder}")
