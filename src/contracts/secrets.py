"""Secrets come from the environment, and are taken out of what is said and kept: notebooks, logs, tracebacks, notes."""

import html
import json
import os
import re
from pathlib import Path
from urllib.parse import quote, urlsplit

from contracts.files import whole

HIDDEN = "(secret)"
SHORTEST = 8  # characters: shorter values stand in words that are no secret
NAMED = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|DSN)(_|$)", re.IGNORECASE)
_asked_for: set[str] = set()


def secret(name: str) -> str:
    """The environment variable that a file names as the place of a secret; empty where it is not set.

    Its value is taken out of all that this process says from now on, whatever the variable is called.
    """
    _asked_for.add(name)
    return os.environ.get(name, "")


def scrubbed(text: str) -> str:
    """The text without the secrets of the environment, as they are or as JSON, HTML and addresses write them.

    Secrets are the values of variables that a source named, that are called a key, token, secret, password or so, and
    passwords in addresses, wherever they stand.
    """
    for value in sorted(_values(), key=len, reverse=True):
        for form in {value, json.dumps(value)[1:-1], html.escape(value), quote(value, safe="")}:
            text = text.replace(form, HIDDEN)
    return text


def scrub(file: Path) -> None:
    """The same in a file of text, which is whole at any moment; one that holds no secret stays as it is."""
    before = file.read_text(encoding="utf-8", errors="surrogateescape")
    after = scrubbed(before)
    if after != before:
        with whole(file) as written:
            written.write_text(after, encoding="utf-8", errors="surrogateescape")


def _values() -> set[str]:
    found = set()
    for name, value in os.environ.items():
        if name in _asked_for or NAMED.search(name):
            found.add(value)
        found.add(_password(value))
    return {value for value in found if len(value) >= SHORTEST}


def _password(value: str) -> str:
    try:
        return urlsplit(value).password or "" if "://" in value else ""
    except ValueError:
        return ""
