"""Say for every route who may use it. A route without an entry is refused, so none can be forgotten.

Entries read ``METHOD /path`` with ``{}`` for every variable part and ``/*`` for folders of static files. HEAD counts
as GET, and the twin of a route under ``/api`` has the entry of the route itself unless it has its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from aiohttp import web
from aiohttp.abc import AbstractMatchInfo

from engine.server.security.tokens import Role

_PUBLIC = """
GET /
GET /*
GET /web/*
GET /assets/*
GET /assets/{}
GET /extensions/*
GET /extensions/{}/{}
GET /favicon.ico
GET /login
GET /login/page.js
POST /login
POST /logout
GET /healthz
"""
_VIEW = """
GET /ws
GET /features
GET /system_stats
GET /object_info
GET /object_info/{}
GET /prompt
GET /queue
GET /history
GET /history/{}
GET /view
GET /files
GET /gallery
GET /gallery/thumbnail
GET /view_metadata/{}
GET /embeddings
GET /models
GET /models/{}
GET /extensions
GET /extensions/packs
GET /experiment/models
GET /experiment/models/{}
GET /experiment/models/preview/{}/{}/{}
GET /users
GET /settings
GET /settings/{}
GET /userdata
GET /v2/userdata
GET /userdata/{}
GET /versions
GET /versions/{}
GET /versions/{}/{}
GET /workflow_templates
GET /workflow_templates/{}/{}
GET /i18n
GET /templates/*
GET /docs
GET /docs/*
GET /docs/api
GET /openapi.json
GET /api/openapi.json
GET /metrics
GET /global_subgraphs
GET /global_subgraphs/{}
GET /node_replacements
GET /internal/files/{}
GET /memory
GET /jobs
GET /jobs/{}
GET /jobs/{}/thumbnail
GET /events
GET /batches
GET /batches/{}
GET /workflows
GET /workflows/{}
GET /sdapi/v1/progress
GET /sdapi/v1/options
GET /sdapi/v1/cmd-flags
GET /sdapi/v1/sd-models
GET /sdapi/v1/sd-vae
GET /sdapi/v1/sd-modules
GET /sdapi/v1/samplers
GET /sdapi/v1/schedulers
GET /sdapi/v1/upscalers
GET /sdapi/v1/latent-upscale-modes
GET /sdapi/v1/loras
GET /sdapi/v1/embeddings
GET /sdapi/v1/hypernetworks
GET /sdapi/v1/face-restorers
GET /sdapi/v1/prompt-styles
GET /sdapi/v1/memory
GET /sdapi/v1/scripts
GET /sdapi/v1/script-info
"""
_RUN = """
POST /prompt
POST /tokens
POST /forecast
POST /plan
POST /queue
POST /interrupt
POST /history
POST /upload/image
POST /upload/mask
POST /gallery/delete
POST /gallery/restore
POST /userdata/{}
DELETE /userdata/{}
POST /userdata/{}/move/{}
POST /versions/{}
DELETE /versions/{}
POST /versions/{}/{}/restore
DELETE /versions/{}/{}
POST /settings
POST /settings/{}
POST /jobs
POST /jobs/{}/cancel
POST /jobs/{}/retry
POST /jobs/{}/priority
POST /jobs/cancel
POST /batches/{}/cancel
POST /batches/{}/retry
POST /workflows/{}
POST /sdapi/v1/txt2img
POST /sdapi/v1/img2img
POST /sdapi/v1/extra-single-image
POST /sdapi/v1/extra-batch-images
POST /sdapi/v1/png-info
POST /sdapi/v1/interrogate
POST /sdapi/v1/interrupt
POST /sdapi/v1/skip
"""
_ADMIN = """
POST /free
POST /users
POST /queue/pause
POST /queue/resume
POST /queue/reorder
POST /sdapi/v1/options
POST /sdapi/v1/refresh-checkpoints
POST /sdapi/v1/refresh-embeddings
POST /sdapi/v1/refresh-loras
POST /sdapi/v1/refresh-vae
POST /sdapi/v1/unload-checkpoint
POST /sdapi/v1/reload-checkpoint
GET /internal/logs
GET /internal/logs/raw
PATCH /internal/logs/subscribe
GET /internal/folder_paths
"""

ROUTE_ROLES: Mapping[str, Role] = MappingProxyType(
    {
        line: role
        for role, text in ((Role.PUBLIC, _PUBLIC), (Role.VIEW, _VIEW), (Role.RUN, _RUN), (Role.ADMIN, _ADMIN))
        for line in text.strip().splitlines()
    }
)
"""The least role of every route: the protocol's, the jobs', the other interface's and our own."""


def least_role(method: str, path: str, table: Mapping[str, Role] = ROUTE_ROLES) -> Role | None:
    """Return who may use the route ``path`` (`route_path`), None when nobody may."""
    verb = "GET" if method == "HEAD" else method
    found = table.get(f"{verb} {path}")
    return table.get(f"{verb} {path.removeprefix('/api')}") if found is None and path.startswith("/api/") else found


def route_path(resource: web.AbstractResource | None) -> str:
    """Return a resource's path with its variables left out: ``/history/{}``, ``/templates/*``."""
    if resource is None:
        return ""
    if isinstance(resource, web.StaticResource):
        return f"{resource.canonical.rstrip('/')}/*"
    return re.sub(r"\{[^{}]*\}", "{}", resource.canonical)


def matched_path(match: AbstractMatchInfo) -> str:
    """Return `route_path` of the route that a request was matched to."""
    route = getattr(match, "route", None)
    return route_path(route.resource) if isinstance(route, web.AbstractRoute) else ""


def routes_without_role(app: web.Application, table: Mapping[str, Role] = ROUTE_ROLES) -> Iterator[str]:
    """List the routes of ``app`` that have no entry, which nobody could use."""
    for route in app.router.routes():
        path = route_path(route.resource)
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] if route.method == "*" else [route.method]
        for method in methods:
            if method != "OPTIONS" and least_role(method, path, table) is None:
                yield f"{method} {path}"
