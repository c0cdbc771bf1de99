"""Who sees what, with several users: everybody their own jobs, files and events; an administrator those of all.

A job belongs to the token that it was queued with. What shows jobs takes a `viewer_of` and leaves out what is not that
user's; what touches files takes `folders_of`. With one user both stand for everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from engine.paths import Folders
from engine.server.desk import Desk
from engine.server.job_rows import QueuedJob
from engine.server.security import Role, identity_of, owner_of
from engine.server.state import ServerState, bad_request, state_of


def viewer_of(request: web.Request) -> str | None:
    """Return the user whose jobs alone may be shown to who asks; None where that is all jobs."""
    user = user_of(request)
    return None if user is None or identity_of(request).role >= Role.ADMIN else user


def user_of(request: web.Request) -> str | None:
    """Return the user who asks; None with one user, and where there is no guard to say who it is."""
    return owner_of(request) if state_of(request).options.multi_user else None


def folders_of(request: web.Request) -> Folders:
    """Return the folders of who asks; an administrator may name another ``user`` in the query."""
    user = user_of(request)
    if user is not None and viewer_of(request) is None:
        user = request.query.get("user", user)
    return state_of(request).catalogue.session.private.of(user)


def job_user(state: ServerState, owner: str | None) -> str | None:
    """Return the user in whose folders a job of ``owner`` works."""
    return owner if state.options.multi_user else None


def owner_again(request: web.Request, row: Mapping[str, Any]) -> str | None:
    """Return whose a job is that repeats the one in ``row``: with several users that one's."""
    return row["owner"] if state_of(request).options.multi_user else owner_of(request)


def waiting_of(desk: Desk, viewer: str | None) -> list[QueuedJob]:
    """List the jobs that wait, in their order, as far as ``viewer`` may see them."""
    return [job for job in desk.waiting() if viewer is None or job.owner == viewer]


def running_of(desk: Desk, viewer: str | None) -> QueuedJob | None:
    """Return the job that runs, where ``viewer`` may see it."""
    job = desk.running()
    return job if job is not None and (viewer is None or job.owner == viewer) else None


async def drop_of(desk: Desk, viewer: str | None, ids: Iterable[str] | None) -> list[str]:
    """Take jobs that wait off the queue (None: all), as far as ``viewer`` may; return their ids."""
    if viewer is not None:
        own = [job.id for job in waiting_of(desk, viewer)]
        wanted = None if ids is None else frozenset(ids)
        ids = [id for id in own if wanted is None or id in wanted]
    return await desk.drop(ids)


def interrupt_of(desk: Desk, viewer: str | None, id: str | None) -> bool:
    """Ask the job that runs to stop, where ``viewer`` may (with ``id`` only that one); say whether it was asked."""
    return running_of(desk, viewer) is not None and desk.interrupt(id)


async def cancel_of(desk: Desk, viewer: str | None, ids: Iterable[str]) -> list[str]:
    """Cancel jobs that wait or run, as far as ``viewer`` may; return the ids of those that were there."""
    wanted = list(ids)
    cancelled = await drop_of(desk, viewer, wanted)
    running = running_of(desk, viewer)
    if running is not None and running.id in wanted and desk.interrupt(running.id):
        cancelled.append(running.id)
    return cancelled


def for_administrators(request: web.Request, what: str) -> None:
    """Raise `web.HTTPForbidden` where what concerns all users is asked by one of them."""
    if viewer_of(request) is not None:
        text = bad_request(f"with several users, {what} needs a token with the role admin", kind="E-ROLE").text
        raise web.HTTPForbidden(text=text, content_type="application/json")
