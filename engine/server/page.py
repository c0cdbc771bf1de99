"""The page that the server brings itself, for an installation in which the editor was not built."""

from __future__ import annotations

from typing import Final

INDEX: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Safelight</title>
<h1>Safelight</h1>
<p>The server runs. It speaks the HTTP and WebSocket protocol that clients of node-graph engines know:
point one at this address.</p>
<p>The editor was not built when this was installed. With a connection to the package registries, build it by
<code>pip install -e .</code> in the checkout, then load this page again.</p>
<ul>
<li><a href="/docs/api">The API, route by route</a> (<a href="/openapi.json">OpenAPI 3.1</a>)</li>
<li><a href="/queue">The queue</a>, <a href="/history">the history</a>, <a href="/api/jobs">jobs</a></li>
<li><a href="/object_info">Node types</a>, <a href="/system_stats">the machine</a></li>
</ul>
</html>
"""
