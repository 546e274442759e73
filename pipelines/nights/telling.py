"""The first line of a night's report and where the report is, by mail or to a webhook, where a definition asks for it.

Addresses and passwords stand in environment variables that the definition names; nothing else of the report leaves, and
no id of a customer. A mail that cannot be sent changes nothing of the night: that is said, and the report is there.
"""

import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from contracts.secrets import scrubbed, secret
from pipelines.nights.definition import Night, Tell

SECONDS = 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FIRST = ", first for "  # what follows names somebody


def tell(night: Night, line: str, page: Path, say: Callable[[str], None]) -> None:
    """Send the line and the place of the page to all that the definition names; what failed is said."""
    line = scrubbed(line.partition(FIRST)[0])
    for what, variable, send in (("mail", night.tell.smtp_from, _mail), ("webhook", night.tell.webhook_from, _post)):
        if not variable:
            continue
        try:
            send(night.tell, secret(variable), line, page.as_uri())
            say(f"{what} sent")
        except (OSError, ValueError, smtplib.SMTPException, urllib.error.URLError) as error:
            say(f"the {what} could not be sent ({variable}): {scrubbed(str(error))[:200]}")


def _mail(told: Tell, address: str, line: str, page: str) -> None:
    server = urlsplit(address)
    if server.scheme not in ("smtp", "smtps") or not server.hostname:
        raise ValueError(
            "it must hold an address such as smtps://mail.example:465, with name and password before the host"
        )
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = line[:200], told.sender, ", ".join(told.mail)
    message.set_content(f"{line}\n\n{page}\n")
    tls = ssl.create_default_context()
    if server.scheme == "smtps":
        connection = smtplib.SMTP_SSL(server.hostname, server.port or 465, timeout=SECONDS, context=tls)
    else:
        connection = smtplib.SMTP(server.hostname, server.port or 587, timeout=SECONDS)
    with connection:
        if server.scheme == "smtp" and server.hostname not in LOOPBACK:
            connection.starttls(context=tls)  # raises where the server has none: nothing goes in plain text
        if server.username:
            connection.login(unquote(server.username), unquote(server.password or ""))
        connection.send_message(message)


def _post(told: Tell, address: str, line: str, page: str) -> None:
    place = urlsplit(address)
    if place.scheme != "https" and not (place.scheme == "http" and place.hostname in LOOPBACK):
        raise ValueError("it must hold an https address")
    body = json.dumps({"text": f"{line}\n{page}"}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        answer.read(1000)
