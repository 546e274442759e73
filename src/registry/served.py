"""MLflow's server behind a token: whoever else is on this machine has loopback too, and MLflow asks nobody who he is.

`crm ui` prints an address that holds the token. It is taken from the address once, into a cookie that only this server
gets and no script reads; a program sends it as `Authorization: Bearer TOKEN`, which MLFLOW_TRACKING_TOKEN does.
"""

import hmac
import os
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

VARIABLE = "CRM_UI_TOKEN"
COOKIE = "crm_ui"
OPEN = "/health"  # says that it is up, and nothing else


class Guarded:
    """An ASGI application that answers only who knows the token."""

    def __init__(self, inner, token: str):
        self.inner, self.token = inner, token

    async def __call__(self, scope, receive, send) -> None:
        """Pass on what may pass; take the token out of an address; refuse the rest with 401."""
        if scope["type"] == "http" and self._same(dict(self._asked(scope)).get("token", "")):
            await _answer(send, 303, self._moved(scope))
        elif scope["type"] == "lifespan" or scope.get("path") == OPEN or self._known(scope):
            await self.inner(scope, receive, send)
        elif scope["type"] == "http":
            said = b"Open the address that `crm ui` printed, with the token in it.\n"
            await _answer(send, 401, [(b"content-type", b"text/plain; charset=utf-8")], said)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _known(self, scope) -> bool:
        sent = dict(scope.get("headers", []))
        try:
            cookies = SimpleCookie(sent.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            cookies = SimpleCookie()
        bearer = sent.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
        return self._same(cookies[COOKIE].value if COOKIE in cookies else "") or self._same(bearer)

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _asked(self, scope) -> list[tuple[str, str]]:
        return parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)

    def _moved(self, scope) -> list[tuple[bytes, bytes]]:
        """To the same page without the token: it ought not to stand in a history or a screenshot."""
        rest = urlencode([(name, value) for name, value in self._asked(scope) if name != "token"])
        place = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
        cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        return [(b"location", place.encode("latin-1", "replace")), (b"set-cookie", cookie.encode())]


async def _answer(send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def __getattr__(name: str):
    """`app`, which MLflow's command looks up: made then, since it imports all of MLflow's server."""
    if name != "app":
        raise AttributeError(name)
    token = os.environ.get(VARIABLE, "")
    if len(token) < 16:
        raise RuntimeError(f"{VARIABLE} must hold a token of 16 characters or more. `crm ui` sets it.")
    from mlflow.server.fastapi_app import app

    return Guarded(app, token)
