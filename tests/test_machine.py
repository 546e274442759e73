"""The browser and the cut network that other tests lean on do what they say."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ASK = "import socket; socket.create_connection(('{host}', {port}), 2)"


@pytest.fixture
def page_on_loopback():
    """The address of a page that a script titles, served for one test."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<script>document.title = 6 * 7</script>")

        def log_message(self, *said):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.mark.browser
def test_the_browser_opens_a_page_and_runs_its_script(chromium, page_on_loopback):
    page = chromium.new_page()
    page.goto(f"http://127.0.0.1:{page_on_loopback}/")
    assert page.title() == "42"


def test_offline_reaches_nothing_but_its_own_loopback(offline, page_on_loopback):
    own = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 2)"
    assert offline([sys.executable, "-c", own]).returncode == 0
    outside = offline([sys.executable, "-c", ASK.format(host="192.0.2.1", port=80)])
    assert "Network is unreachable" in outside.stderr
    ours = offline([sys.executable, "-c", ASK.format(host="127.0.0.1", port=page_on_loopback)])
    assert "Connection refused" in ours.stderr
