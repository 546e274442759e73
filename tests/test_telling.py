"""A night tells of itself: one line and the place of the report, by a real server on loopback, and never a secret."""

import email
import json
import socketserver
import threading
from email import policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from contracts.errors import Refused
from pipelines.nights import definition
from pipelines.nights.definition import Night, Tell
from pipelines.nights.telling import tell

PAGE = Path("/project/mlruns/nights/nightly/2024-01-02/report.html")
LINE = "FAILED: nightly as of 2024-01-02: check: refused: orders: amount_cents must not be empty, but is in 3 of 9 rows"
SAID = f"{LINE}, first for customer 17 (order 4)."


class Post(socketserver.StreamRequestHandler):
    """As much of SMTP as a client that knows its name and sends one mail asks for."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            self.server.heard.append(line)
            if word == "DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (part := self.rfile.readline()) != b".\r\n":
                    lines.append(part)
                self.server.mails.append(email.message_from_bytes(b"".join(lines), policy=policy.default))
            answer = {"EHLO": b"250-here\r\n250 AUTH PLAIN\r\n", "AUTH": b"235 known\r\n", "QUIT": b"221 bye\r\n"}
            self.wfile.write(answer.get(word, b"250 ok\r\n"))
            if word == "QUIT":
                return


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.heard.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """A function that starts a server on a port of loopback."""
    started = []

    def start(kind, handler):
        server = kind(("127.0.0.1", 0), handler)
        server.heard, server.mails = [], []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def night(**told) -> Night:
    return Night("nightly", "shop", ("churn",), "03:00", 0, 0, 30, (), Tell(**told))


def test_a_mail_has_the_line_and_the_place_and_names_nobody(serve, monkeypatch):
    server, said = serve(socketserver.ThreadingTCPServer, Post), []
    monkeypatch.setenv("CRM_SMTP", "smtp://crm:" + f"kanari-pass@127.0.0.1:{server.server_address[1]}")
    told = {"mail": ("a@example.org", "b@example.org"), "sender": "crm@example.org", "smtp_from": "CRM_SMTP"}
    tell(night(**told), SAID, PAGE, said.append)
    assert said == ["mail sent"]
    (mail,) = server.mails
    assert mail["Subject"] == LINE and mail["To"] == "a@example.org, b@example.org"
    assert mail.get_content().split() == [*LINE.split(), PAGE.as_uri()]
    assert "customer" not in mail.as_string() and "kanari-pass" not in mail.as_string()
    assert [line.split()[0] for line in server.heard][:2] == ["ehlo", "AUTH"]


def test_a_webhook_is_sent_the_same(serve, monkeypatch):
    server, said = serve(HTTPServer, Hook), []
    monkeypatch.setenv("CRM_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/hook?key=kanari")
    tell(night(webhook_from="CRM_WEBHOOK"), SAID, PAGE, said.append)
    assert said == ["webhook sent"] and server.heard == [("/hook?key=kanari", {"text": f"{LINE}\n{PAGE.as_uri()}"})]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "it must hold an https address"),
        ("http://example.org/hook?key=kanari-key", "it must hold an https address"),
        ("file:///etc/passwd", "it must hold an https address"),
        ("http://127.0.0.1:9/kanari-key", "Connection refused"),
        ("http://127.0.0.1:{port}/broken", "HTTP Error 500"),
    ],
)
def test_what_cannot_be_sent_is_said_without_the_secret_and_stops_nothing(serve, monkeypatch, address, says):
    server, said = serve(HTTPServer, Hook), []
    monkeypatch.setenv("CRM_WEBHOOK", address.format(port=server.server_address[1]))
    tell(night(webhook_from="CRM_WEBHOOK"), SAID, PAGE, said.append)
    assert len(said) == 1 and says in said[0] and "CRM_WEBHOOK" in said[0] and "kanari" not in said[0]


def test_a_line_that_holds_a_secret_is_scrubbed_and_nobody_is_told_unless_asked(serve, monkeypatch):
    server, said = serve(HTTPServer, Hook), []
    monkeypatch.setenv("SHOP_KEY", "kanari-key-of-the-shop")
    monkeypatch.setenv("CRM_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/hook")
    tell(night(), SAID, PAGE, said.append)
    assert said == [] and server.heard == []
    tell(night(webhook_from="CRM_WEBHOOK"), "FAILED: kanari-key-of-the-shop", PAGE, said.append)
    assert "kanari-key" not in str(server.heard)


@pytest.mark.parametrize(
    "told",
    [
        "{mail: [ops@example.org]}",
        "{mail: [ops], sender: crm@example.org, smtp_from: CRM_SMTP}",
        "{mail: ['a@b>\\nBcc: c@d'], sender: crm@example.org, smtp_from: CRM_SMTP}",
        "{webhook_from: 'https://hooks.example/secret'}",
        "{mail: [a@b], sender: c@d, smtp_from: 'smtp://mail.example'}",
        "{web: X}",
        "[a]",
    ],
)
def test_a_definition_names_addresses_and_variables_and_holds_no_secret(tmp_path, monkeypatch, told):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    (tmp_path / "pipelines").mkdir()
    text = (Path(definition.__file__).parents[1] / "nightly.yml").read_text()
    (tmp_path / "pipelines" / "mine.yml").write_text(f"{text}\ntell: {told}\n")
    with pytest.raises(Refused, match="mine.yml, tell"):
        definition.night("mine")


def test_a_definition_that_tells(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    (tmp_path / "pipelines").mkdir()
    text = (Path(definition.__file__).parents[1] / "nightly.yml").read_text()
    (tmp_path / "pipelines" / "mine.yml").write_text(text.replace("# tell:", "tell:"))
    told = Tell(("ops@example.org",), "crm@example.org", "CRM_SMTP", "CRM_WEBHOOK")
    assert definition.night("mine").tell == told
