"""The way in for browsers: a page that exchanges a token for a cookie which no script can read.

The token of the start stands in the fragment of the printed address, which browsers send to nobody; the page takes it
from there and removes it from the history.
"""

from __future__ import annotations

from aiohttp import web

from engine.errors import InputError
from engine.server.security.access import COOKIE
from engine.server.security.answers import refuse, refuse_for_now
from engine.server.security.bodies import read_json
from engine.server.security.doorkeeper import Doorkeeper, TooManyFailures
from engine.server.security.policy import Policy
from engine.server.security.throttle import client_key

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Safelight: log in</title>
<h1>Safelight</h1>
<form id="login" autocomplete="off">
<p><label>Token <input id="token" type="password" autocomplete="current-password" required autofocus></label>
<button>Log in</button></p>
<p id="answer" role="status"></p>
</form>
<script src="/login/page.js"></script>
</html>
"""
SCRIPT = """"use strict";
const field = document.getElementById("token");
const answer = document.getElementById("answer");
async function logIn(token) {
  const asked = await fetch("/login", {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify({token}),
  });
  if (asked.ok) {
    location.replace("/");
    return;
  }
  const said = await asked.json();
  answer.textContent = said.error.message;
}
document.getElementById("login").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(field.value.trim());
});
if (location.hash.length > 1) {
  const token = location.hash.slice(1);
  history.replaceState(null, "", "/login");
  logIn(token);
}
"""


def add_login_routes(app: web.Application, policy: Policy, doorkeeper: Doorkeeper) -> None:
    """Add ``/login`` (page, script, exchange) and ``/logout``."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def script(request: web.Request) -> web.Response:
        return web.Response(text=SCRIPT, content_type="text/javascript")

    async def log_in(request: web.Request) -> web.Response:
        body = await read_json(request, policy.limits, small=True)
        token = body.get("token") if isinstance(body, dict) else None
        if not isinstance(token, str):
            raise InputError("the token is missing", expected='{"token": "…"}')
        try:
            cookie = await doorkeeper.log_in(token, client_key(request.remote))
        except TooManyFailures as error:
            return refuse_for_now(error.wait_s)
        if cookie is None:
            return refuse(401, "E-TOKEN", "this token is not known here")
        response = web.Response(status=204)
        secure = policy.scheme == "https" or request.headers.get("Origin", "").lower().startswith("https://")
        age = int(policy.limits.session_s)
        response.set_cookie(COOKIE, cookie, max_age=age, path="/", httponly=True, samesite="Strict", secure=secure)
        return response

    async def log_out(request: web.Request) -> web.Response:
        doorkeeper.log_out(request.cookies.get(COOKIE, ""))
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    app.router.add_get("/login", page)
    app.router.add_get("/login/page.js", script)
    app.router.add_post("/login", log_in)
    app.router.add_post("/logout", log_out)


def startup_address(scheme: str, host: str, port: int, token: str) -> str:
    """Return the address to print at the start: opening it logs in, once."""
    return f"{scheme}://{host}:{port}/login#{token}"
