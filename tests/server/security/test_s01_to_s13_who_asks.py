"""S01 to S13: who is asking. Each test names its number in the list of threats (docs/security.md)."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError, web
from security_app import Server, running

from engine.errors import InputError
from engine.server.security import (
    Guard,
    Limits,
    Policy,
    Role,
    clean_logs,
    make_guard,
    make_policy,
    routes_without_role,
    say_how_to_get_in,
    token_file,
)
from engine.server.security.doorkeeper import Doorkeeper
from engine.server.security.headers import SECURITY_HEADERS
from engine.server.security.login import startup_address
from engine.server.security.policy import is_loopback
from engine.server.security.roles import ROUTE_ROLES, least_role, route_path
from engine.server.security.throttle import MAX_CLIENTS, Throttle, client_key
from engine.server.security.tokens import add_token, remove_token

JSON = {"Content-Type": "application/json"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def real_routes(app: web.Application) -> list[tuple[str, str]]:
    """Every route as method and an address that it matches."""
    found = []
    for route in app.router.routes():
        path = route_path(route.resource)
        found.append((route.method, path.replace("{}", "x").replace("*", "app.js")))
    return sorted(set(found))


def test_s01_no_token_no_answer(locked: Server) -> None:
    asked = 0
    for method, path in real_routes(locked.app):
        public = least_role(method, path if path != "/web/app.js" else "/web/*") is Role.PUBLIC
        answer = locked.request(method, path, JSON if method == "POST" else {})
        if public:
            assert answer.status != 401 or path == "/login", (method, path)
        else:
            asked += 1
            assert answer.status == 401, (method, path)
            assert method == "HEAD" or answer.json["error"]["type"] == "E-TOKEN"
    assert asked > 15
    assert locked.handshake().status == 401
    for path in ("/nowhere", "/api/nowhere", "/custom_nodes/x.py"):
        assert locked.request("GET", path).status == 401


def test_s01_the_public_ones_are_few() -> None:
    allowed = {"/", "/*", "/web/*", "/assets/*", "/assets/{}", "/extensions/*", "/extensions/{}/{}", "/favicon.ico"}
    public = {entry.partition(" ")[2] for entry, role in ROUTE_ROLES.items() if role is Role.PUBLIC}
    assert public == allowed | {"/login", "/login/page.js", "/logout", "/healthz"}


def test_s01_a_route_without_a_role_stops_the_start(server: Server, tmp_path: Path) -> None:
    assert list(routes_without_role(server.app, ROUTE_ROLES)) != []  # the sample's own routes
    app = web.Application()

    async def nothing(request: web.Request) -> web.Response:
        return web.Response()

    app.router.add_get("/forgotten/{id}", nothing)
    app.router.add_route("*", "/star", nothing)
    missing = set(routes_without_role(app))
    assert missing >= {"GET /forgotten/{}", "POST /star", "GET /star"}


def test_s01_roles(locked: Server, tokens: tuple[Path, dict[str, str]]) -> None:
    allowed = {
        ("view", "GET", "/queue"): 200,
        ("view", "POST", "/prompt"): 403,
        ("view", "POST", "/free"): 403,
        ("run", "GET", "/api/queue"): 200,
        ("run", "POST", "/api/prompt"): 200,
        ("run", "POST", "/api/free"): 403,
        ("admin", "POST", "/free"): 200,
        ("admin", "GET", "/nowhere"): 404,
        ("view", "GET", "/prompt"): 405,
    }
    for (role, method, path), status in allowed.items():
        answer = locked.request(method, path, {**JSON, **bearer(tokens[1][role])}, b"{}" if method == "POST" else None)
        assert answer.status == status, (role, method, path, answer.body)


def test_s02_a_wrong_token_is_401_and_compared_in_constant_time(
    tokens: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(len(a)) or real(a, b))
    right = tokens[1]["admin"]
    wrong = [right[:-1] + ("A" if right[-1] != "A" else "B"), "sl_" + "0" * 12 + right[15:], "x", "", "x" * 5000, "ä"]
    with running(tmp_path, Policy(token_required=True, token_file=tokens[0])) as server:
        for token in wrong:
            assert server.request("GET", "/queue", bearer(token.encode().decode("latin-1"))).status == 401
        assert compared == [64] * len(wrong)
        for header in (f"Basic {right}", right, "Bearer", f"Bearer {right} {right}"):
            assert server.request("GET", "/queue", {"Authorization": header}).status == 401
        both = [("Authorization", f"Bearer {right}"), ("Authorization", "Bearer x")]
        assert server.request("GET", "/queue", both).status == 401
        assert server.request("GET", f"/queue?token={right}").status == 401  # addresses end up in logs
        assert server.request("GET", "/queue", bearer(right)).status == 200


def test_s02_guessing_is_slowed_down_but_nobody_is_locked_out(
    tokens: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    limits = Limits(failures=3, failure_pause_s=60)
    with running(tmp_path, Policy(token_required=True, token_file=tokens[0]), limits=limits) as server:
        assert server.request("GET", "/queue", bearer(tokens[1]["view"])).status == 200
        statuses = [server.request("GET", "/queue", bearer(f"wrong {n}")).status for n in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        answer = server.post_json("/login", {"token": "wrong"})
        assert answer.status == 429
        assert 0 < int(answer.headers["retry-after"]) <= 61
        assert server.request("GET", "/queue", bearer(tokens[1]["view"])).status == 200


def test_s02_a_token_ends_when_it_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "user/.safelight/tokens.json"
    keep, drop = add_token(path, "keep", Role.VIEW), add_token(path, "drop", Role.VIEW)
    with running(tmp_path, Policy(token_required=True, token_file=path)) as server:
        cookie = server.post_json("/login", {"token": drop}).headers["set-cookie"].split(";")[0]
        assert server.request("GET", "/queue", bearer(drop)).status == 200
        assert server.request("GET", "/queue", {"Cookie": cookie}).status == 200
        remove_token(path, "drop")
        assert server.request("GET", "/queue", bearer(drop)).status == 401
        assert server.request("GET", "/queue", {"Cookie": cookie}).status == 401
        assert server.request("GET", "/queue", bearer(keep)).status == 200
        path.unlink()
        assert server.request("GET", "/queue", bearer(keep)).status == 401


def test_s02_the_throttle_forgets_with_time_and_stays_small() -> None:
    now = [0.0]
    throttle = Throttle(2, 10, lambda: now[0])
    throttle.spend("a"), throttle.spend("a")
    assert throttle.wait_s("a") == 10
    assert throttle.wait_s("b") == 0
    now[0] = 10
    assert throttle.wait_s("a") == 0
    for number in range(3 * MAX_CLIENTS):
        throttle.spend(str(number))
    assert len(throttle._spent) == MAX_CLIENTS
    assert client_key("2001:db8:1:2:3::4") == client_key("2001:db8:1:2::9") != client_key("2001:db8:1:3::9")
    assert client_key("::ffff:10.0.0.1") == "10.0.0.1"


FOREIGN_HOSTS = [
    "evil.example",
    "127.0.0.1",
    "127.0.0.1:1",
    "localhost",
    "localhost.:{port}",
    "localhost.evil.example:{port}",
    "127.0.0.1.nip.io:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "0.0.0.0:{port}",
    "user@127.0.0.1:{port}",
    "127.0.0.1:{port}, evil.example",
    "",
    "\0none",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_s03_a_foreign_host_is_refused(server: Server, host: str) -> None:
    header = {"Host": host.format(port=server.port)}
    before = len(server.desk.queued)
    refused = {403} if host.isprintable() and host else {400, 403}
    assert server.request("GET", "/", header).status in refused
    assert server.request("GET", "/web/app.js", header).status in refused
    assert server.post_json("/prompt", {}, header).status in refused
    assert server.handshake(headers=header).status in refused
    assert len(server.desk.queued) == before


def test_s03_two_hosts_or_an_absolute_target_are_refused(server: Server) -> None:
    own = server.own.encode()
    two = server.raw(b"GET /queue HTTP/1.1\r\nHost: " + own + b"\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert two.split()[1] in (b"400", b"403")
    absolute = server.raw(b"GET http://evil.example/queue HTTP/1.1\r\nHost: " + own + b"\r\nConnection: close\r\n\r\n")
    assert absolute.split()[1] in (b"400", b"403")
    reverse = server.raw(b"GET http://" + own + b"/queue HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert reverse.split()[1] in (b"400", b"403")


def test_s03_our_own_names_work(server: Server) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "LOCALHOST"):
        assert server.request("GET", "/queue", {"Host": f"{host}:{server.port}"}).status == 200


def test_s04_rebinding(server: Server) -> None:
    lie = {"Host": f"evil.example:{server.port}", "Origin": f"http://evil.example:{server.port}"}
    assert server.request("GET", "/queue", lie).status == 403
    assert server.post_json("/prompt", {}, {**lie, "Sec-Fetch-Site": "same-origin"}).status == 403
    assert server.handshake(headers=lie).status == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:{port}", 200),
        ("HTTP://127.0.0.1:{port}", 200),
        ("null", 403),
        ("NULL", 403),
        ("", 403),
        ("https://127.0.0.1:{port}", 403),
        ("http://127.0.0.1", 403),
        ("http://127.0.0.1:1", 403),
        ("http://localhost:{port}", 403),
        ("http://127.0.0.1:{port}.evil.example", 403),
        ("http://127.0.0.1:{port}/", 403),
        ("file://", 403),
        ("http://evil.example", 403),
        ("http://127.0.0.1:{port} http://evil.example", 403),
    ],
)
def test_s05_the_origin_must_be_ours(server: Server, origin: str, status: int) -> None:
    given = origin.format(port=server.port)
    before = len(server.desk.queued)
    assert server.request("GET", "/queue", {"Origin": given}).status == status
    assert server.post_json("/prompt", {}, {"Origin": given}).status == status
    assert len(server.desk.queued) == before + (status == 200)


def test_s05_two_origins(server: Server) -> None:
    own = ("Origin", f"http://{server.own}")
    assert server.request("GET", "/queue", [own, ("Origin", "http://evil.example")]).status in (400, 403)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "nonsense"])
def test_s06_the_browser_says_who_asks(server: Server, site: str) -> None:
    foreign = {"Sec-Fetch-Site": site}
    assert server.request("GET", "/queue", foreign).status == 403
    assert server.request("GET", "/view?filename=x.png", {**foreign, "Sec-Fetch-Mode": "no-cors"}).status == 403
    assert server.post_json("/prompt", {}, foreign).status == 403
    assert server.handshake(headers=foreign).status == 403
    navigation = {**foreign, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert server.request("GET", "/", navigation).status == 200
    assert server.request("GET", "/?x=1", navigation).status == 200
    assert server.request("GET", "/queue", navigation).status == 403
    assert server.request("POST", "/", navigation).status == 403
    assert server.request("GET", "/", {**navigation, "Sec-Fetch-Dest": "iframe"}).status == 403
    assert server.request("GET", "/", foreign).status == 403


def test_s06_own_pages_and_typed_addresses_work(server: Server) -> None:
    for site in ("same-origin", "none"):
        assert server.request("GET", "/queue", {"Sec-Fetch-Site": site}).status == 200


FORMS = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain;charset=UTF-8",
]
BROWSERS: list[Mapping[str, str]] = [
    {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
    {"Origin": "http://evil.example"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://{own}"},
    {"Referer": "http://evil.example/"},
    {"Cookie": "a=b"},
]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("browser", BROWSERS)
def test_s07_a_form_of_any_page_queues_nothing(server: Server, kind: str, browser: Mapping[str, str]) -> None:
    headers = {name: value.format(own=server.own) for name, value in browser.items()}
    before = len(server.desk.queued)
    for path in ("/prompt", "/api/prompt", "/queue"):
        for body in (b'{"prompt": {}}', b""):
            answer = server.request("POST", path, {**headers, "Content-Type": kind}, body)
            assert answer.status in (403, 415)
    assert len(server.desk.queued) == before


@pytest.mark.parametrize("kind", [*FORMS[1:], "text/html", "application/xml", "x", "application/json, text/plain"])
def test_s07_scripts_are_held_to_json_too(server: Server, kind: str) -> None:
    before = len(server.desk.queued)
    assert server.request("POST", "/prompt", {"Content-Type": kind}, b'{"prompt": {}}').status == 415
    assert len(server.desk.queued) == before


def test_s07_what_urllib_and_curl_call_a_form_is_json_here(server: Server) -> None:
    for headers in ({"Content-Type": FORMS[0], "User-Agent": "Python-urllib/3.12"}, {}):
        assert server.request("POST", "/prompt", headers, b'{"prompt": {}}').status == 200
        assert server.desk.queued[-1] == {"prompt": {}}


def test_s07_uploads_prove_whose_page_they_come_from(server: Server) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x", "User-Agent": "Mozilla/5.0"}
    assert server.request("POST", "/upload/image", kind, body).status == 415
    ours = {**kind, "Origin": f"http://{server.own}"}
    assert server.request("POST", "/upload/image", ours, body).json["error"]["message"] == "the picture is missing"
    assert server.request("POST", "/upload/image", {**kind, "X-Requested-With": "editor"}, body).status == 400
    assert server.request("POST", "/upload/image", {"Content-Type": kind["Content-Type"]}, body).status == 400


def test_s08_nothing_changes_by_looking(server: Server) -> None:
    changing = {path for method, path in real_routes(server.app) if method not in ("GET", "HEAD")}
    looking = {path for method, path in real_routes(server.app) if method == "GET"}
    assert {"/prompt", "/api/upload/image", "/logout"} <= changing - looking
    before = len(server.desk.queued)
    for path in sorted(changing - looking):
        for method in ("GET", "HEAD"):
            answer = server.request(method, path)
            assert answer.status == 405, (method, path)
            assert answer.headers["allow"] == "POST"
    for method in ("TRACE", "CONNECT", "PROPFIND", "OPTIONS"):
        assert server.request(method, "/prompt").status in (400, 404, 405)
    assert len(server.desk.queued) == before


def test_s09_websockets(server: Server) -> None:
    for origin in ("http://evil.example", "null", f"https://{server.own}"):
        assert server.handshake(headers={"Origin": origin}).status == 403
    before = len(server.desk.sockets)

    async def two_with_one_id() -> list[str]:
        address = f"http://{server.own}/ws?clientId=same"
        async with ClientSession() as session:
            async with session.ws_connect(address) as first, session.ws_connect(address) as second:
                await second.send_str("two")
                await first.send_str("one")
                heard = [(await first.receive()).data, (await second.receive()).data]
            with pytest.raises(WSServerHandshakeError) as refused:
                await session.ws_connect(address, origin="http://evil.example")
            assert refused.value.status == 403
        return heard

    assert asyncio.run(two_with_one_id()) == ["one", "two"]
    assert len(server.desk.sockets) == before + 2


def test_s09_only_so_many_connections_and_so_long_messages(tmp_path: Path) -> None:
    async def open_three(address: str) -> int:
        async with ClientSession() as session:
            async with session.ws_connect(address) as first, session.ws_connect(address):
                with pytest.raises(WSServerHandshakeError) as refused:
                    await session.ws_connect(address)
                await first.send_str("x" * 70_000)
                assert (await first.receive()).type is WSMsgType.CLOSE
            async with session.ws_connect(address):
                return refused.value.status

    with running(tmp_path, limits=Limits(max_websockets=2)) as server:
        assert asyncio.run(open_three(f"http://{server.own}/ws")) == 503


EDITOR = "https://editor.example"


def test_s10_invited_pages(tmp_path: Path) -> None:
    with running(tmp_path, Policy(cors_origins=(EDITOR,))) as server:
        invited = {"Origin": EDITOR, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        answer = server.post_json("/prompt", {}, invited)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == EDITOR
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]
        asking = {**invited, "Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}
        preflight = server.request("OPTIONS", "/prompt", asking)
        assert preflight.status == 204
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert preflight.headers["access-control-allow-private-network"] == "true"
        assert server.request("OPTIONS", "/prompt", {**asking, "Origin": "https://evil.example"}).status == 403
        assert server.handshake(headers={"Origin": EDITOR}).status == 101
        # Nothing else is open for it.
        assert server.request("GET", "/queue", {"Origin": "null"}).status == 403
        assert server.request("GET", "/queue", {"Origin": "http://editor.example"}).status == 403
        assert server.request("GET", "/queue", {"Sec-Fetch-Site": "cross-site"}).status == 403
        assert server.request("GET", "/queue", {**invited, "Host": "editor.example"}).status == 403
        assert server.request("POST", "/prompt", {**invited, "Content-Type": "text/plain"}, b"{}").status == 415
        assert server.request("GET", "/queue").headers.get("access-control-allow-origin") is None


@pytest.mark.parametrize("origin", ["*", "null", "", "editor.example", "https://", "https://a/b", "https://*.example"])
def test_s10_a_wildcard_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(InputError):
        make_policy(Policy(cors_origins=(origin,)), has_tokens=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio.example", ""])
def test_s11_others_get_in_only_with_a_token(host: str) -> None:
    with pytest.raises(InputError, match="tokens add") as caught:
        make_policy(Policy(listen=("127.0.0.1", host)), has_tokens=False)
    assert caught.value.problem.code == "E-NO-TOKEN"
    assert make_policy(Policy(listen=(host,)), has_tokens=True).token_required


def test_s11_a_name_for_a_proxy_asks_for_tokens_too() -> None:
    with pytest.raises(InputError, match="tokens add"):
        make_policy(Policy(host_names=("studio.example",)), has_tokens=False)
    assert make_policy(Policy(host_names=("studio.example",)), has_tokens=True).token_required
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8", "[::1]"):
        assert is_loopback(host)
        assert not make_policy(Policy(listen=(host,), host_names=("localhost:9000",)), has_tokens=False).token_required
    for name in ("*", "a b", "http://", "ftp://x", "x/y", "x:0", "x:y", "-x", "a,b"):
        with pytest.raises(InputError):
            make_policy(Policy(host_names=(name,)), has_tokens=True)


def test_s11_a_proxy_in_front(tmp_path: Path, tokens: tuple[Path, dict[str, str]]) -> None:
    policy = Policy(host_names=("studio.example", "http://lan.example:81"), token_file=tokens[0])
    good = bearer(tokens[1]["view"])
    with running(tmp_path, policy) as server:
        for host, origin, status in (
            ("studio.example", "https://studio.example", 200),
            ("studio.example:443", "https://studio.example", 200),
            (f"studio.example:{server.port}", f"http://studio.example:{server.port}", 200),
            ("lan.example:81", "http://lan.example:81", 200),
            ("studio.example", "http://studio.example", 403),
            ("studio.example", "https://evil.example", 403),
            ("lan.example", "http://lan.example", 403),
            ("lan.example:81", "https://lan.example:81", 403),
            (server.own, "https://studio.example", 403),
        ):
            assert server.request("GET", "/queue", {"Host": host, "Origin": origin, **good}).status == status, host
        login = server.request(
            "POST",
            "/login",
            {"Host": "studio.example", "Origin": "https://studio.example", **JSON},
            b'{"token": "%s"}' % tokens[1]["view"].encode(),
        )
        assert "Secure" in login.headers["set-cookie"]


def test_s11_an_address_in_digits_is_ours_when_it_was_reached(
    tmp_path: Path, tokens: tuple[Path, dict[str, str]]
) -> None:
    from engine.server.security.origins import known_addresses

    everywhere = make_policy(Policy(listen=("0.0.0.0", "::"), token_file=tokens[0]), has_tokens=True)
    found = known_addresses(everywhere, ("192.168.1.5", 8188))
    assert found["192.168.1.5:8188"] == {"http://192.168.1.5:8188"}
    assert "192.168.1.6:8188" not in found
    assert "[fe80::1]:8188" in known_addresses(everywhere, ("fe80::1", 8188))
    assert "192.168.1.5:8188" in known_addresses(everywhere, ("::ffff:192.168.1.5", 8188))
    assert "192.168.1.5:8188" not in known_addresses(Policy(), ("192.168.1.5", 8188))
    assert known_addresses(Policy(), ("127.0.0.1", 80))["localhost"] == {"http://localhost"}
    assert known_addresses(Policy(), None) == {}


def test_s12_every_answer_has_the_headers(server: Server) -> None:
    server.desk.to_raise = RuntimeError("x")
    answers = {
        200: server.request("GET", "/queue"),
        404: server.request("GET", "/nowhere"),
        405: server.request("GET", "/prompt"),
        500: server.request("GET", "/boom"),
        403: server.request("GET", "/queue", {"Origin": "null"}),
        415: server.request("POST", "/prompt", {"Content-Type": "text/plain"}, b"{}"),
        101: server.handshake(),
    }
    pages = [server.request("GET", "/web/app.js"), server.request("GET", "/"), server.request("GET", "/login")]
    for status, answer in [*answers.items(), *((200, page) for page in pages)]:
        assert answer.status == status
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name.lower()] == value, (status, name)
    policy = answers[200].headers["content-security-policy"]
    wanted = (
        "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    assert policy.startswith(wanted)
    assert "unsafe" not in policy
    assert answers[200].headers["cache-control"] == "no-store"
    assert answers[404].headers["content-type"].startswith("application/json")


def test_s12_our_pages_keep_to_the_policy(server: Server) -> None:
    page = server.request("GET", "/login").body.decode()
    assert "<style" not in page and "style=" not in page and "onclick" not in page
    assert page.count("<script") == 1 and '<script src="/login/page.js"></script>' in page
    script = server.request("GET", "/login/page.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert b"innerHTML" not in script.body and b"eval" not in script.body


def test_s13_the_cookie_and_the_token_of_the_start(
    tmp_path: Path, tokens: tuple[Path, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    clean_logs(caplog.handler)
    caplog.set_level(logging.DEBUG)
    with running(tmp_path, Policy(token_required=True)) as server:
        token = server.guard.doorkeeper.make_startup_token()
        address = startup_address("http", "127.0.0.1", server.port, token)
        assert address == f"http://{server.own}/login#{token}"
        assert server.request("GET", "/queue", bearer(token)).status == 401  # it is for the exchange only
        answer = server.post_json("/login", {"token": token}, {"Origin": f"http://{server.own}"})
        assert answer.status == 204
        parts = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
        assert {"httponly", "samesite=strict", "path=/"} <= parts
        assert "secure" not in parts
        cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
        assert token not in cookie["Cookie"]
        assert server.request("GET", "/queue", cookie).status == 200
        assert server.post_json("/free", {}, cookie).status == 200
        assert server.post_json("/login", {"token": token}).status == 401  # once
        assert server.request("POST", "/logout", cookie).status == 204
        assert server.request("GET", "/queue", cookie).status == 401
        assert server.request("GET", "/queue", {"Cookie": "safelight_session=x"}).status == 401
        for body in ({}, {"token": 3}, [], None, {"token": ""}):
            assert server.post_json("/login", body).status in (400, 401)
    assert token not in caplog.text
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_s13_sessions_end_and_stay_few(tmp_path: Path) -> None:
    now = [0.0]

    async def visit() -> None:
        keeper = Doorkeeper(None, Limits(session_s=100, max_sessions=3), lambda: now[0])
        cookies = [await keeper.log_in(keeper.make_startup_token(), "x") or "" for _ in range(5)]
        assert [keeper.check_session(cookie) is not None for cookie in cookies] == [False, False, True, True, True]
        now[0] = 101
        assert keeper.check_session(cookies[-1]) is None

    asyncio.run(visit())


def test_s11_the_guard_from_a_command_line(tmp_path: Path) -> None:
    async def make(**given: object) -> Guard:
        return make_guard(tmp_path, **given)  # type: ignore[arg-type]

    local = asyncio.run(make())
    assert say_how_to_get_in(local, "127.0.0.1", 8188).startswith("open http://127.0.0.1:8188/ ")
    asked = asyncio.run(make(require_token=True, tls=True))
    assert re.match(r"open https://127\.0\.0\.1:1/login#[\w-]{43} ", say_how_to_get_in(asked, "127.0.0.1", 1))
    with pytest.raises(InputError, match="tokens add"):
        asyncio.run(make(listen=("0.0.0.0",)))
    add_token(token_file(tmp_path), "a", Role.RUN)
    shown = say_how_to_get_in(asyncio.run(make(listen=("0.0.0.0", "::"), max_upload_bytes=5)), "::", 8188)
    assert shown.startswith("open http://127.0.0.1:8188/login ")
    assert "#" not in shown
    assert "[fe80::1]:1/" in say_how_to_get_in(asyncio.run(make(listen=("fe80::1",))), "fe80::1", 1)
    with pytest.raises(InputError):
        asyncio.run(make(cors_origins=("*",)))
    token_file(tmp_path).write_text("damaged")
    with pytest.raises(InputError, match="damaged"):
        asyncio.run(make())
