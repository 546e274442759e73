"""The guard before MLflow's server: who has the token passes, and nobody else hears anything."""

import asyncio

import pytest

from registry import served
from registry.served import COOKIE, Guarded

TOKEN = "of-the-tests-and-nobody-else"


def asked(path: str, query: str = "", kind: str = "http", **headers: str) -> dict:
    """What the guard answers: status and headers; status 200 where it let the request pass."""
    sent = []

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": told}
    asyncio.run(Guarded(inner, TOKEN)(scope, None, send))
    return sent[0]


def test_who_has_the_token_passes():
    assert asked("/", cookie=f"other=1; {COOKIE}={TOKEN}")["status"] == 200
    assert asked("/api", authorization=f"Bearer {TOKEN}")["status"] == 200
    assert asked("/", kind="lifespan")["status"] == 200
    assert asked("/health")["status"] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"cookie": f"{COOKIE}=guessed"}, {"cookie": f"{COOKIE}={TOKEN}x"}, {"cookie": "=;=;,"}, {"cookie": "ü"},
        {"authorization": f"Basic {TOKEN}"}, {"authorization": "Bearer "}, {"referer": f"http://here/?token={TOKEN}"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/health/", "/health/../api", "/ajax-api/2.0/mlflow/runs/search", "//"])
def test_nobody_else_hears_anything(path, headers):
    assert asked(path, **headers)["status"] == 401
    assert asked(path, "token=guessed", **headers)["status"] == 401
    assert asked(path, "token=", kind="websocket", **headers) == {"type": "websocket.close", "code": 1008}


@pytest.mark.parametrize("path", ["/", "//evil.example/x"])
def test_the_token_goes_from_the_address_into_a_cookie_that_no_script_reads(path):
    found = asked(path, f"a=1&token={TOKEN}&b=%2F")
    headers = dict(found["headers"])
    assert found["status"] == 303 and headers[b"location"] == (b"/" + path.lstrip("/").encode() + b"?a=1&b=%2F")
    assert headers[b"set-cookie"].decode() == f"{COOKIE}={TOKEN}; Path=/; HttpOnly; SameSite=Strict"


def test_without_a_token_of_its_own_it_does_not_start(monkeypatch):
    monkeypatch.setenv(served.VARIABLE, "short")
    with pytest.raises(RuntimeError, match="must hold a token of 16 characters"):
        served.__getattr__("app")
