"""Letters, carried by a real mail server or left in a folder."""

from __future__ import annotations

import email
import smtplib
import socketserver
from datetime import UTC, datetime
from email import policy
from threading import Event, Thread

import pytest

from common.settings import SettingsError
from index_service.mail.transport import FolderTransport, Mailer, OutgoingEmail, SmtpTransport, choose_transport
from index_service.settings import load_settings

KEY = "k" * 32
LETTER = OutgoingEmail("alice@example.com", "确认 your address", "Hello,\n\n.\nas it is: 您好\n")


def clock():
    return datetime(2015, 6, 8, 12, tzinfo=UTC)


class MailServer(socketserver.ThreadingTCPServer):
    """Takes letters and remembers them; `refusal` is what it answers to a sender instead, `recipient_refusal` to a
    recipient. With `holds` it takes none before that is set; `asked` is set when it was to."""

    allow_reuse_address = True

    daemon_threads = True

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, Session)
        self.letters: list[tuple[str, list[str], bytes]] = []
        self.commands: list[str] = []
        self.refusal = self.recipient_refusal = ""
        self.asked, self.holds = Event(), None
        self.features: list[str] = []


class Session(socketserver.StreamRequestHandler):
    """One connection of RFC 5321, as far as a letter needs it."""

    def handle(self) -> None:
        self.recipients: list[str] = []
        self.say("220 mail.example")
        while line := self.rfile.readline().decode().strip():
            self.server.commands.append(line)
            verb = line.split()[0].upper()
            if verb == "QUIT":
                return self.say("221 bye")
            getattr(self, f"on_{verb.lower()}", lambda _: self.say("502 what?"))(line)
        return None

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def on_ehlo(self, _: str) -> None:
        lines = ["mail.example", *self.server.features]
        for line in lines[:-1]:
            self.say(f"250-{line}")
        self.say(f"250 {lines[-1]}")

    def on_mail(self, line: str) -> None:
        self.sender = line
        self.say(self.server.refusal or "250 ok")

    def on_rcpt(self, line: str) -> None:
        self.recipients.append(line)
        self.say(self.server.recipient_refusal or "250 ok")

    def on_rset(self, _: str) -> None:
        self.say("250 ok")

    def on_data(self, _: str) -> None:
        self.say("354 go on")
        content = b""
        while (line := self.rfile.readline()) != b".\r\n":
            content += line[1:] if line.startswith(b".") else line
        self.server.asked.set()
        if self.server.holds is not None:
            self.server.holds.wait(60)
        else:
            self.server.letters.append((self.sender, self.recipients, content))
            self.say("250 taken")


@pytest.fixture
def server():
    with MailServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server, user=""):
    return f"smtp://{user}127.0.0.1:{server.server_address[1]}"


def post(carrier):
    return Mailer(carrier, "Wharf <wharf@example.com>", clock)


def read(content):
    return email.message_from_bytes(content, policy=policy.default)


def test_a_mail_server_is_given_the_letter(server):
    office = post(choose_transport(url(server), "unused", clock))
    office.send(LETTER, "letter-7")
    ((sender, recipients, content),) = server.letters
    assert sender.startswith("mail FROM:<wharf@example.com>")
    assert recipients == ["rcpt TO:<alice@example.com>"]
    letter = read(content)
    assert letter["Subject"] == LETTER.subject
    assert letter["From"] == "Wharf <wharf@example.com>"
    assert letter["Message-ID"] == "<letter-7@example.com>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().replace("\r\n", "\n") == LETTER.text


def test_a_letter_that_is_refused_is_told_and_the_next_one_carried(server):
    office = post(SmtpTransport(url(server)))
    server.refusal = "550 not from you"
    with pytest.raises(smtplib.SMTPSenderRefused):
        office.send(LETTER, "1")
    server.refusal = ""
    office.send(LETTER, "1")
    assert len(server.letters) == 1


def test_a_password_is_never_sent_without_tls(server):
    server.features = ["AUTH PLAIN LOGIN"]
    office = post(SmtpTransport(url(server, "user:secret@")))
    with pytest.raises(smtplib.SMTPException):
        office.send(LETTER, "1")
    assert server.letters == []
    assert not [line for line in server.commands if line.upper().startswith("AUTH")]


def test_nobody_there_is_told():
    with MailServer() as gone:
        address = url(gone)
    with pytest.raises(ConnectionRefusedError):
        post(SmtpTransport(address)).send(LETTER, "1")


def test_a_folder_keeps_each_letter_in_a_file_for_its_owner_alone(tmp_path):
    office = post(choose_transport("", str(tmp_path / "new" / "mail"), clock))
    office.send(LETTER, "1")
    office.send(LETTER, "2")
    paths = list((tmp_path / "new" / "mail").iterdir())
    assert len(paths) == 2
    assert {path.suffix for path in paths} == {".eml"}
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert read(paths[0].read_bytes()).get_content() == LETTER.text


def test_a_folder_lists_letters_in_the_order_of_writing(tmp_path):
    """Also those of one instant."""
    office = post(FolderTransport(tmp_path, clock))
    for number in range(20):
        office.send(LETTER, str(number))
    identities = [read(path.read_bytes())["Message-ID"] for path in sorted(tmp_path.iterdir())]
    assert identities == [f"<{number}@example.com>" for number in range(20)]


def test_a_link_in_a_folder_is_whole_however_long(tmp_path):
    link = "https://images.example.com/reset/" + "Wz" * 60 + "=.ab"
    mailer = Mailer(FolderTransport(tmp_path, clock), "wharfinger@localhost", clock)
    mailer.send(OutgoingEmail("alice@example.com", "确认", f"您好\n\n{link}\n"), "1")
    (path,) = tmp_path.glob("*.eml")
    assert link in path.read_text(encoding="utf-8").splitlines()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "mail").write_text("a file")
    with pytest.raises(FileExistsError):
        post(FolderTransport(tmp_path / "mail", clock)).send(LETTER, "1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "mail.example:25"),
        ("SMTP_URL", "http://mail.example"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "a@example.com\nBcc: b@example.com"),
        ("SITE_URL", "images.example.com"),
        *(
            ("SITE_URL", f"https://images.example.com{path}")
            for path in ("/v1", "/v2/x", "/_ping", "/a//b", "/a/../b", "/%41")
        ),
        ("SITE_URL", "https://user@images.example.com"),
        ("SITE_URL", "https://images.example.com?x"),
        ("SITE_URL", "ftp://images.example.com"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name, value):
    variable = f"WHARFINGER_INDEX_{name}"
    with pytest.raises(SettingsError, match=variable):
        load_settings({"WHARFINGER_INDEX_SECRET_KEYS": KEY, variable: value})


def test_the_site_is_where_the_index_listens_unless_it_is_said():
    environ = {"WHARFINGER_INDEX_SECRET_KEYS": KEY, "WHARFINGER_INDEX_LISTEN": "127.0.0.1:8000"}
    assert load_settings(environ).site == "http://127.0.0.1:8000"
    environ["WHARFINGER_INDEX_SITE_URL"] = "https://images.example.com/"
    assert load_settings(environ).site == "https://images.example.com"
