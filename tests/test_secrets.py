"""Secrets stand in the environment, and nowhere that a run writes or says: notebooks, logs, tracebacks, notes."""

import json
from urllib.parse import quote

import canaries
import homes
import pytest

from contracts.secrets import HIDDEN, scrub, scrubbed, secret

PLANTED = {
    "SHOP_KEY": "kanari-key-of-the-shop",
    "AWS_SECRET_ACCESS_KEY": 'kanari"quoted\\key<&>',
    "MAIL_PASSWORD": "kanari-mail-pass",
    "WAREHOUSE": "postgres://crm:" + "kanari-db-pass" + "@db.example/crm",
}
LOUD = """
import os
import warnings

print(dict(os.environ))
warnings.warn(os.environ["MAIL_PASSWORD"])
{name: value for name, value in os.environ.items()}
# %%
raise ValueError("cannot open " + os.environ["WAREHOUSE"] + " by " + os.environ["SHOP_KEY"])
"""


@pytest.fixture
def planted(monkeypatch):
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    return [*list(PLANTED.values())[:3], "kanari-db-pass", json.dumps(PLANTED["AWS_SECRET_ACCESS_KEY"])[1:-1]]


def test_secrets_go_in_every_form_that_a_file_has_for_them(planted):
    key = PLANTED["AWS_SECRET_ACCESS_KEY"]
    for form in (key, json.dumps({"a": key}), quote(key, safe=""), "kanari&quot;quoted\\key&lt;&amp;&gt;"):
        assert "quoted" not in scrubbed(f"x {form} y") and HIDDEN in scrubbed(f"x {form} y")
    assert scrubbed(f"at {PLANTED['WAREHOUSE']}: no route") == f"at postgres://crm:{HIDDEN}@db.example/crm: no route"
    assert scrubbed("nothing of it in here") == "nothing of it in here"


def test_a_variable_that_a_source_names_is_secret_whatever_it_is_called(monkeypatch):
    monkeypatch.setenv("OUR_TREASURE", "kanari-treasure")
    assert scrubbed("kanari-treasure") == "kanari-treasure"
    assert secret("OUR_TREASURE") == "kanari-treasure"
    assert scrubbed("kanari-treasure") == HIDDEN


def test_what_is_too_short_or_no_secret_stays(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "on")
    monkeypatch.setenv("PWD", "/kanari-house")
    monkeypatch.setenv("KEYBOARD", "kanari-layout")
    assert scrubbed("on /kanari-house kanari-layout") == "on /kanari-house kanari-layout"


def test_a_file_without_secrets_is_not_touched(planted, tmp_path):
    file = tmp_path / "a.log"
    file.write_bytes(b"caf\xe9 is not UTF-8\n")
    before = file.stat()
    scrub(file)
    assert file.stat() == before
    file.write_bytes(b"caf\xe9 " + PLANTED["SHOP_KEY"].encode() + b"\n")
    scrub(file)
    assert file.read_bytes() == b"caf\xe9 " + HIDDEN.encode() + b"\n" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_a_notebook_that_prints_its_environment_and_fails_tells_no_secret(planted, tmp_path):
    home = homes.make(tmp_path / "home", LOUD)
    ended = homes.crm(home, "retrain", "churn", "--source", "shop", "--as-of", homes.AS_OF, *homes.FAST)
    assert ended.code == 1 and HIDDEN in ended.err, ended.err
    assert not [word for word in planted if word in ended.out + ended.err]
    assert canaries.found(home, planted) == []
    assert len(canaries.found(home / "mlruns", [HIDDEN])) >= 4  # notebook, page, traceback, and the run's note
